"""A Qt application for tests of views and decoders."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def qt() -> Iterator[Any]:
    """Return the application; fail on what Qt complains of and on threads that stay."""
    pytest.importorskip(
        "PySide6.QtWidgets", reason="Qt or a library it needs is missing", exc_type=ImportError
    )
    from tests.qt_app import qt_without_complaints

    with qt_without_complaints() as application:
        yield application


@pytest.fixture
def wait(qt: Any) -> Callable[[Callable[[], object]], None]:
    """Return a function that lets the app work until something is so."""
    from tests.qt_app import wait_until

    return wait_until
