#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A mistake in a program built with sanitizers is seen by the tests, also in the midst of a log."""
import os
import subprocess
import tempfile

from build import report_in
from tap import check, main, ok

START = "#include <pthread.h>\n#include <stdlib.h>\n#include <stdio.h>\n"
RACE = ("static int n;\nstatic void *count(void *x)\n{\n\tfor (int i = 0; i < 100000; i++)\n"
        "\t\tn++;\n\treturn x;\n}\n")
# (what it is, the sanitizers, functions, statements of main, the report's word or None)
MISTAKES = [
    ("nothing wrong", "address,undefined", "", "puts(\"fine\");", None),
    ("a write behind an allocation", "address,undefined", "",
     "char *volatile p = malloc(13); p[13] = 1;", "AddressSanitizer"),
    ("a leak", "address,undefined", "", "char *volatile p = malloc(13); p = NULL; (void)p;",
     "LeakSanitizer"),
    ("a signed overflow", "address,undefined", "", "volatile int n = 2147483647; n = n + 1;",
     "runtime error"),
    ("a data race", "thread", RACE,
     "pthread_t t; pthread_create(&t, NULL, count, NULL); count(NULL); pthread_join(t, NULL);",
     "ThreadSanitizer"),
]


def log_of(sanitizers, functions, statements):
    """What the program wrote, between two lines of its own."""
    with tempfile.TemporaryDirectory() as directory:
        program = os.path.join(directory, "program")
        text = (f"{START}{functions}int main(void)\n{{\n\tfputs(\"info: begins\\n\", stderr);\n"
                f"\t{statements}\n\tfputs(\"info: ends\\n\", stderr);\n\treturn 0;\n}}\n")
        subprocess.run(["gcc", "-g", f"-fsanitize={sanitizers}", "-pthread", "-xc", "-", "-o",
                        program], input=text, text=True, check=True)
        return subprocess.run([program], capture_output=True, text=True, timeout=60,
                              check=False).stderr


def test_mistakes():
    for what, sanitizers, functions, statements, word in MISTAKES:
        log = log_of(sanitizers, functions, statements)
        report = report_in(log)
        if word is None:
            check(f"{what} is no report", report, "")
        else:
            ok(f"{what} is a report, whatever stands before it",
               word in report and "begins" in log, log)


if __name__ == "__main__":
    main(test_mistakes)
