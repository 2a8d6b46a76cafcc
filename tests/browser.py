"""A headless Chromium that the tests drive, with what it logged and what it asked the network for."""

from __future__ import annotations

import base64
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip


def _absent() -> str:
    """What is missing, if anything."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium"
    return next((name for name in ("chromium", "chromedriver") if not shutil.which(name)), "")


def start(profile: Path) -> Browser:
    """A browser with a fresh profile. Without one the test is skipped, but fails where CI is set."""
    missing = _absent()
    if missing and os.environ.get("CI", "").lower() not in ("", "0", "false"):
        pytest.fail(f"{missing} is not installed, and CI must test the report in a browser")
    if missing:
        pytest.skip(f"{missing} is missing: apt-get install chromium chromium-driver, pip install selenium")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return Browser(webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver"))))


class Browser:
    """The few things that the tests do with a page."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, file: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Show a file in a window of this size."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen", "features": [scheme]})
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.driver.get(file.as_uri())

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(f"return {script}", *arguments)

    def press(self, selector: str, *keys: str) -> None:
        self.driver.find_element("css selector", selector).send_keys(*keys)

    def click(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    def text(self, selector: str) -> str:
        return str(self.driver.find_element("css selector", selector).text)

    def console(self) -> list[str]:
        """What was logged since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses that the page asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [each["request"]["url"] for each in sent if not each["request"]["url"].startswith("data:")]

    def media(self, name: str) -> None:
        """`print` or `screen`."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": name})

    def pdf(self) -> bytes:
        printed = self.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
        return base64.b64decode(printed["data"])

    def close(self) -> None:
        self.driver.quit()
