# SPDX-License-Identifier: Apache-2.0
"""nq: help, version, wrong usage."""

import re
import unittest

from tool import ToolTest, nq


class UsageTest(ToolTest):
    def test_help_names_the_commands(self):
        done = nq("--help")
        self.assert_well(done)
        for command in (b"put", b"get", b"bench"):
            self.assertIn(command, done.stdout)

    def test_each_command_has_help(self):
        for command, flags in (("put", ["--file", "--to", "--server", "--pickle", "--bytes"]),
                               ("get", ["--output", "--from", "--connect-timeout"]),
                               ("bench", ["--min-size", "--step-expo", "--get-merge", "--workers",
                                          "--secure", "--clients", "--verify", "--json"])):
            done = nq(command, "--help")
            self.assert_well(done)
            for flag in flags:
                self.assertIn(flag, done.stdout.decode())

    def test_bench_help_shows_the_defaults_of_the_issue(self):
        text = " ".join(nq("bench", "--help").stdout.decode().split())
        for flag, default in (("delay", "0"), ("min-size", "8"), ("step-size", "2"),
                              ("max-size", "32"), ("step-expo", "0.5"), ("reps", "1"),
                              ("clients", "1"), ("workers", "1"), ("host", "127.0.0.1"),
                              ("efficient-size", "16"), ("transport-size", "22")):
            self.assertRegex(text, rf"--{flag} [^=]*={re.escape(default)} ")

    def test_version(self):
        done = nq("--version")
        self.assert_well(done)
        self.assertRegex(done.stdout.decode(), r"^nq \d+\.\d+\.\d+\n$")

    def test_no_command_is_wrong_usage(self):
        self.assert_fails(nq(), 2, "subcommand is required")

    def test_wrong_arguments_are_wrong_usage(self):
        for arguments in (["frobnicate"], ["put", "--port", "many"], ["put", "--port", "70000"],
                          ["put", "--bytes", "--pickle", "x"], ["get", "--server", "--client"],
                          ["get", "--count", "-1"], ["bench", "tcp"],
                          ["bench", "udp", "both", "sync"], ["bench", "tcp", "none", "sync"],
                          ["bench", "tcp", "both", "often"],
                          ["bench", "tcp", "both", "sync", "--reps", "0"],
                          ["bench", "tcp", "both", "sync", "--min-size", "9", "--max-size", "8"],
                          ["bench", "tcp", "both", "sync", "--get-merge=maybe"]):
            with self.subTest(arguments=arguments):
                self.assertEqual(nq(*arguments).returncode, 2)

    def test_an_id_that_is_none(self):
        self.assert_fails(nq("put", "--id", "me", "x"), 2, "--id: not a UUID: me")
        self.assert_fails(nq("put", "--to", "you", "x"), 2, "--to: not a UUID: you")
        self.assert_fails(nq("get", "--from", "them"), 2, "--from: not a UUID: them")


if __name__ == "__main__":
    unittest.main()
