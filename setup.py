# SPDX-License-Identifier: Apache-2.0
"""Builds the wheel: CMake makes the extension, with the library in it; setuptools does the rest.

CMAKE_ARGS, as with other packages, is handed to CMake: CMAKE_ARGS=-DNET_QUEUE_WITH_GRPC=OFF leaves
the gRPC transport out where libgrpc++-dev is missing.
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = pathlib.Path(__file__).resolve().parent


def version():
    """That of the CMake project."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    return re.search(r"project\(net_queue VERSION ([\d.]+)", text)[1]


class CMakeBuild(build_ext):
    def build_extension(self, extension):
        target = pathlib.Path(self.get_ext_fullpath(extension.name)).resolve()
        build = pathlib.Path(self.build_temp).resolve()
        if shutil.which("ninja"):
            os.environ.setdefault("CMAKE_GENERATOR", "Ninja")
        options = [
            "-DCMAKE_BUILD_TYPE=Release",
            "-DNET_QUEUE_BUILD_PYTHON=ON",
            *(f"-DNET_QUEUE_BUILD_{part}=OFF" for part in
              ("TESTS", "BENCHMARKS", "EXAMPLES", "CLI")),
            f"-DPython_EXECUTABLE={sys.executable}",
            *self.pybind11(),
            *shlex.split(os.environ.get("CMAKE_ARGS", "")),
        ]
        subprocess.run(["cmake", "-S", ROOT, "-B", build, *options], check=True)
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
        subprocess.run(["cmake", "--build", build, "--target", "nq_python", "--parallel", jobs],
                       check=True)
        built = build / "python" / "net_queue" / target.name
        target.parent.mkdir(parents=True, exist_ok=True)
        self.copy_file(str(built), str(target))

    @staticmethod
    def pybind11():
        """Where a package index brought it; otherwise CMake finds the system's."""
        try:
            import pybind11
        except ImportError:
            return []
        return [f"-Dpybind11_DIR={pybind11.get_cmake_dir()}"]


setup(version=version(), ext_modules=[Extension("net_queue._native", [])],
      cmdclass={"build_ext": CMakeBuild})
