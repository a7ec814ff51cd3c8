"""PyTorch in the build that fits this machine, and a faster attention kernel where one can be had.

uv knows which build fits a driver (`--torch-backend=auto`), and the CPU's where there is none. Where uv
cannot be had or cannot reach that build, pip takes what `--torch-index` names, or its own registry's build
where that is the right one: for NVIDIA's GPUs on Linux, for the processor on Windows, for both on macOS.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from installer.environment import Environment
from installer.machine import Gpu
from installer.pip import Pip
from installer.problems import InstallError
from installer.progress import Progress
from installer.steps import fingerprint

TORCH_TEST = (
    "import torch; a = torch.arange(64.).reshape(8, 8); assert float((a @ a).trace()) == 68880.0; "
    "print(torch.__version__, torch.cuda.is_available())"
)
ATTENTION_PACKAGE = "flash-attn"
ATTENTION_TEST = """
import torch
from flash_attn import flash_attn_func
q, k, v = (torch.randn(1, 256, 4, 64, device="cuda", dtype=torch.bfloat16) for _ in range(3))
plain = torch.nn.functional.scaled_dot_product_attention(*(x.transpose(1, 2).float() for x in (q, k, v)))
assert (flash_attn_func(q, k, v).transpose(1, 2).float() - plain).abs().max() < 0.05
"""
MACOS_TARGET = "14.0"
"""Torch's wheels for macOS are made for 14; uv assumes an older one."""


@dataclass
class InstallTorch:
    """PyTorch, in a build for this machine's GPU or for its processor."""

    environment: Environment
    requirement: str
    gpu: Gpu | None
    index: str | None = None
    by_uv: bool = True
    title: str = "Installing PyTorch"

    @property
    def detail(self) -> str:
        """Return which build."""
        if self.index:
            return f"from {self.index}"
        if self.gpu is None:
            return "for the processor: there is no NVIDIA GPU here"
        return f"for {self.gpu.name}, driver {self.gpu.driver}"

    def is_done(self) -> bool:
        """True when it was installed for this very driver."""
        return self.environment.fingerprint_of("torch") == self._fingerprint()

    def do(self, progress: Progress) -> None:
        """Install it, and have it multiply two matrices."""
        pip = Pip(self.environment)
        if self.environment.interrupted_step() == "torch":
            pip.forget_half_installed()
        self.environment.begin("torch")
        if self.index:
            pip.install(["--index-url", self.index, "--no-deps", self.requirement], progress)
            pip.install([self.requirement], progress)  # what it needs comes from the usual registry
        elif not (self.by_uv and self._install_by_uv(pip, progress)):
            self._check_registry()
            pip.install([self.requirement], progress)
        self._try_it(progress)
        self.environment.finish("torch", self._fingerprint())

    def _install_by_uv(self, pip: Pip, progress: Progress) -> bool:
        """Have uv choose and install the build; False where that cannot be."""
        program = shutil.which("uv", path=self.environment.variables()["PATH"])
        if program is None:
            try:
                pip.install(["uv"], progress)
            except InstallError:
                return False
            program = str(self.environment.programs / ("uv.exe" if os.name == "nt" else "uv"))
        command = [program, "pip", "install", "--python", str(self.environment.python)]
        command += ["--torch-backend", "auto", self.requirement]
        variables = {"MACOSX_DEPLOYMENT_TARGET": MACOS_TARGET, **self.environment.variables()}
        run = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        for line in (run.stdout + run.stderr).splitlines():
            progress.detail(line)
        if run.returncode:
            progress.say("  uv could not bring a build for this machine")
        return run.returncode == 0

    def _check_registry(self) -> None:
        """Refuse gigabytes of a build that this machine cannot use."""
        is_right = not self.by_uv or sys.platform == "darwin" or (sys.platform == "linux") == bool(self.gpu)
        if not is_right:
            wanted = "a build for its GPU" if self.gpu else "the build for processors"
            raise InstallError(
                f"PyTorch's own index, which has {wanted}, cannot be reached.",
                "Name a mirror of it (--torch-index URL), or leave the wan engine out (--without engine).",
            )

    def _try_it(self, progress: Progress) -> None:
        command = [str(self.environment.python), "-c", TORCH_TEST]
        run = subprocess.run(
            command, env=self.environment.variables(), capture_output=True, text=True, check=False
        )
        if run.returncode:
            reason = (run.stderr.strip() or "no reason given").splitlines()[-1]
            raise InstallError(
                f"PyTorch is installed and does not run: {reason}",
                "Install without it (--without engine): the rewrite engine needs no PyTorch.",
            )
        version, has_gpu = run.stdout.split()
        progress.say(f"  PyTorch {version}, {'on the GPU' if has_gpu == 'True' else 'on the processor'}")
        if self.gpu and has_gpu != "True":
            progress.say("  it does not see the GPU: update the driver, or choose a build with --torch-index")

    def _fingerprint(self) -> str:
        return fingerprint(self.requirement, self.index or "", self.gpu.driver if self.gpu else "no GPU")


@dataclass
class InstallAttention:
    """A faster attention kernel, where a ready-made wheel of it exists and it computes rightly here.

    Nothing is built, and nothing fails: without it PyTorch's own kernels are used.
    """

    environment: Environment
    title: str = "Trying a faster attention kernel"
    detail: str = f"{ATTENTION_PACKAGE}, tested against PyTorch's own and taken away again if it fails"

    def is_done(self) -> bool:
        """True when it was tried."""
        return self.environment.fingerprint_of("attention") == fingerprint(ATTENTION_PACKAGE)

    def do(self, progress: Progress) -> None:
        """Install, test, and keep or remove it."""
        self.environment.begin("attention")
        try:
            Pip(self.environment).install(["--only-binary=:all:", "--no-deps", ATTENTION_PACKAGE], progress)
            self._run(["-c", ATTENTION_TEST])
            progress.say("  it is used")
        except (InstallError, subprocess.CalledProcessError):
            subprocess.run(
                self._command(["-m", "pip", "uninstall", "-y", ATTENTION_PACKAGE]),
                check=False,
                capture_output=True,
            )
            progress.say("  not to be had here; PyTorch's own is used")
        self.environment.finish("attention", fingerprint(ATTENTION_PACKAGE))

    def _run(self, arguments: Sequence[str]) -> None:
        command = self._command(arguments)
        subprocess.run(command, check=True, capture_output=True, env=self.environment.variables())

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [str(self.environment.python), *arguments]
