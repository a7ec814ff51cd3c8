"""What NVIDIA's driver tells of the GPUs (NVML). The only file that knows it; without it there are none."""

import contextlib
import logging
import time
from collections.abc import Callable, Collection
from typing import Any

import psutil

from daemon.protocol.night import GpuInfo, GpuProcess

log = logging.getLogger(__name__)

RECENT_S = 5.0
"""Utilisation of a process is that of its latest sample within this time."""


class Gpus:
    """The driver, asked again and again from one thread."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._is_absent = False

    def read(self, ours: Collection[int] = ()) -> list[GpuInfo]:
        """Return every GPU; `ours` are the ids of our own processes. Never raises."""
        nvml = self._driver()
        if nvml is None:
            return []
        try:
            return [self._gpu(nvml, index, ours) for index in range(nvml.nvmlDeviceGetCount())]
        except nvml.NVMLError as error:  # the driver was reset or updated under us: begin anew
            log.warning("The GPU's driver does not answer: %s.", error)
            with contextlib.suppress(nvml.NVMLError):
                nvml.nvmlShutdown()
            self._nvml = None
            return []

    def limit(self, index: int) -> int | None:
        """Return the temperature (Celsius) from which a GPU slows itself down, or None."""
        nvml = self._driver()
        if nvml is None:
            return None
        handle = self._ask(nvml, nvml.nvmlDeviceGetHandleByIndex, index)
        slow = nvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN
        return (
            None if handle is None else self._ask(nvml, nvml.nvmlDeviceGetTemperatureThreshold, handle, slow)
        )

    def _driver(self) -> Any:
        """Return NVML, or None where there is none."""
        if self._nvml is None and not self._is_absent:
            try:
                import pynvml  # nvidia-ml-py
            except ImportError:
                self._is_absent = True
                return None
            try:
                pynvml.nvmlInit()
            except pynvml.NVMLError as error:
                missing = (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
                self._is_absent = getattr(error, "value", None) in missing
            else:
                self._nvml = pynvml
        return self._nvml

    def _gpu(self, nvml: Any, index: int, ours: Collection[int]) -> GpuInfo:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        rates = self._ask(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
        return GpuInfo(
            index=index,
            name=_text(nvml.nvmlDeviceGetName(handle)),
            memory_total=memory.total,
            memory_used=memory.used,
            temperature=self._ask(nvml, nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
            utilisation=None if rates is None else int(rates.gpu),
            processes=self._processes(nvml, handle, ours),
        )

    def _processes(self, nvml: Any, handle: Any, ours: Collection[int]) -> list[GpuProcess]:
        """Return who computes or draws on a GPU, each process once."""
        memory: dict[int, int | None] = {}
        for ask in (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses):
            for found in self._ask(nvml, ask, handle) or ():
                memory[found.pid] = found.usedGpuMemory  # None on Windows: the system owns it there
        since_us = int((time.time() - RECENT_S) * 1e6)
        samples = self._ask(nvml, nvml.nvmlDeviceGetProcessUtilization, handle, since_us) or ()
        busy = {sample.pid: int(sample.smUtil) for sample in samples}
        return [
            GpuProcess(
                pid=pid,
                name=_program(pid),
                memory=used,
                utilisation=busy.get(pid, 0 if samples else None),
                is_ours=pid in ours,
            )
            for pid, used in sorted(memory.items())
        ]

    def _ask(self, nvml: Any, question: Callable[..., Any], *arguments: Any) -> Any:
        """Return the answer, or None where this GPU or driver has none."""
        try:
            return question(*arguments)
        except nvml.NVMLError as error:
            none = (nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_NOT_FOUND, nvml.NVML_ERROR_NO_PERMISSION)
            if getattr(error, "value", None) in none:
                return None
            raise


def _program(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return ""


def _text(name: str | bytes) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name
