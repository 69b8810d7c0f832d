"""Jupyter's own test of a kernel, with every sample that it asks for."""

import unittest

# The module, not its class: unittest would run that too, and with it Python's kernel.
import jupyter_kernel_test

PATIENCE_SECONDS = 60

jupyter_kernel_test.TIMEOUT = PATIENCE_SECONDS


class PatientKernelTests(jupyter_kernel_test.KernelTests):
    kernel_name = "livepatch"

    def execute_helper(self, *args, **kwargs):
        """Allow more than the tenth of a second between two messages that a loaded machine may not keep to."""
        kwargs.setdefault("timeout", PATIENCE_SECONDS)
        channel = self.kc.iopub_channel
        receive = channel.get_msg

        async def get_msg(timeout=None):
            return await receive(timeout=PATIENCE_SECONDS)

        channel.get_msg = get_msg
        try:
            return super().execute_helper(*args, **kwargs)
        finally:
            del channel.get_msg


class LivePatchKernelTests(PatientKernelTests):
    language_name = "C#"
    file_extension = ".cs"
    code_hello_world = 'Console.WriteLine("hello, world");'
    code_stderr = 'Console.Error.WriteLine("this is stderr");'
    completion_samples = [
        {"text": "#!la", "matches": ["#!lab"]},
        {"text": "#!patch --eng", "matches": ["--engine"]},
        {"text": "#!patch --engine text_poke_bp_li", "matches": ["text_poke_bp_list"]},
        {"text": "Console.Wri", "matches": ["Write", "WriteLine"]},
    ]
    complete_code_samples = ["1 + 1", "#!lab", "#!lab\nvar a = 1;", "int Twice(int n)\n{\n    return 2 * n;\n}"]
    incomplete_code_samples = ["if (true) {", "int Twice(int n)\n{", 'Console.WriteLine("a",']
    invalid_code_samples = ["var x = 1 1;", "#!nothing"]
    code_page_something = "#!machine?"
    code_generate_error = 'throw new InvalidOperationException("broken");'
    code_execute_result = [
        {"code": "6 * 7", "result": "42"},
        {"code": '"a" + "b"', "result": "ab"},
        {"code": "new[] { 1, 2 }.Select(n => new { N = n, Square = n * n })", "mime": "text/html"},
    ]
    code_display_data = [
        {"code": "display(6 * 7);", "mime": "text/plain"},
        {"code": "#!lab protocols", "mime": "text/html"},
    ]
    code_history_pattern = "6 ? 7"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "#!patch"
    code_clear_output = "clear();"


class WrongSamples(PatientKernelTests):
    """The control: samples that no kernel can meet."""

    code_hello_world = 'Console.WriteLine("good night");'
    complete_code_samples = ["if (true) {"]
    code_execute_result = [{"code": "6 * 7", "result": "43"}]
    code_generate_error = "6 * 7"


if __name__ == "__main__":
    unittest.main(verbosity=2)
