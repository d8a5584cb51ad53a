"""Does the simulator start, stop and bear load as a process of its own?"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from simulator.__main__ import main
from tests.simulator.conftest import Nmi
from tests.simulator_fixture import ROOT, SimulatorProcess, start_simulator, wait_for


@pytest.fixture
def own() -> SimulatorProcess:
    return start_simulator()


class TestStarting:
    def test_takes_the_port_it_is_given_on_loopback_only(self, free_port: int) -> None:
        simulator = start_simulator(free_port)
        try:
            assert simulator.url == f"http://127.0.0.1:{free_port}"
            table = Path("/proc/net/tcp").read_text().splitlines()[1:]
            listening = [line.split()[1] for line in table if line.split()[3] == "0A"]
            assert f"0100007F:{free_port:04X}" in listening
            assert f"00000000:{free_port:04X}" not in listening
        finally:
            simulator.stop()

    def test_says_in_one_sentence_that_the_port_is_taken(self, own: SimulatorProcess) -> None:
        port = own.url.rsplit(":", 1)[1]
        try:
            second = subprocess.run(
                [sys.executable, "-m", "simulator", "--port", port],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=60,
            )
        finally:
            own.stop()

        assert second.returncode == 1
        assert second.stderr == f"simulator: cannot listen on 127.0.0.1:{port}: Address already in use\n"

    def test_takes_its_secrets_from_the_environment(self) -> None:
        simulator = start_simulator(env={"GATEWAY_NMI_SECURITY_KEY": "another-key"})
        try:
            with closing(Nmi(simulator)) as nmi:
                assert nmi.sale("ref-1")["responsetext"] == "Authentication Failed"
                assert nmi.sale("ref-1", security_key="another-key")["response_code"] == "100"
        finally:
            simulator.stop()

    def test_its_clock_starts_in_the_past_and_reset_takes_it_back_there(self) -> None:
        simulator = start_simulator(options=("--behind", "172800"))

        def days_behind() -> float:
            return (datetime.now(UTC) - datetime.fromisoformat(simulator.health()["now"])) / timedelta(days=1)

        try:
            with closing(Nmi(simulator)) as nmi:
                nmi.sale("ref-1")
            sold = datetime.fromisoformat(simulator.movements()[0]["occurred_at"])
            assert (datetime.now(UTC) - sold) / timedelta(days=1) == pytest.approx(2, abs=0.01)
            simulator.act("advance_clock", seconds=86_400)
            assert days_behind() == pytest.approx(1, abs=0.01)
            simulator.reset()
            assert days_behind() == pytest.approx(2, abs=0.01)
        finally:
            simulator.stop()

    @pytest.mark.parametrize("given", ["yesterday", "-1", "nan", "1e12"])
    def test_refuses_a_start_that_is_no_time_or_not_in_the_past(
        self, given: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            main([f"--behind={given}"])

        assert f"{given!r} is no number of seconds from 0 to ten years" in capsys.readouterr().err

    def test_imports_nothing_of_the_product_nor_a_framework(self) -> None:
        program = (
            "import simulator.__main__, sys; "
            "print(sorted(m for m in sys.modules if m.split('.')[0] in "
            "('django', 'celery', 'config', 'console', 'ledger', 'payments', 'httpx')))"
        )
        found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)

        assert found.stdout.strip() == "[]"


class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_ends_it_at_once_even_in_a_hang(self, own: SimulatorProcess, number: int) -> None:
        own.fault("timeout", "sale")
        caller = threading.Thread(target=_call_ignoring_trouble, args=(own,))
        caller.start()
        wait_for(lambda: own.faults()["struck"] == {"timeout": 1})

        own.process.send_signal(number)
        code = own.process.wait(30)  # half of what the hang takes

        assert code == 0
        caller.join(30)
        own.stop()

    def test_it_ends_when_whoever_started_it_is_gone(self, own: SimulatorProcess) -> None:
        assert own.process.stdin is not None
        own.process.stdin.close()

        assert own.process.wait(30) == 0
        own.stop()

    def test_settles_by_itself_every_so_often(self) -> None:
        simulator = start_simulator(options=("--settle-every", "0.2"))
        try:
            with closing(Nmi(simulator)) as nmi:
                nmi.sale("ref-1")
            simulator.act("sale", "stripe", reference="ref-1", amount_minor=1234)
            wait_for(lambda: simulator.movements()[0]["settled"])
            wait_for(lambda: simulator.movements(gateway="stripe")[0]["settled"])
        finally:
            simulator.stop()


class TestLoad:
    def test_a_hundred_at_once_are_each_booked_once(self, nmi: Nmi) -> None:
        answers: list[str] = []

        def call(index: int) -> None:
            with closing(Nmi(nmi.simulator)) as mine:
                answers.append(mine.sale(f"ref-{index}")["transactionid"])

        threads = [threading.Thread(target=call, args=(index,)) for index in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(set(answers)) == 100
        assert sorted(m["gateway_id"] for m in nmi.simulator.movements()) == sorted(answers)

    def test_one_hold_is_captured_once_by_twenty_at_once(self, nmi: Nmi) -> None:
        held = nmi.auth("ref-1", "20.00")["transactionid"]
        codes: list[str] = []

        def capture() -> None:
            with closing(Nmi(nmi.simulator)) as mine:
                codes.append(mine.transact(type="capture", transactionid=held, amount="20.00")["response_code"])

        threads = [threading.Thread(target=capture) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert (codes.count("100"), codes.count("300")) == (1, 19)
        assert len(nmi.simulator.movements("ref-1")) == 2

    def test_hundreds_of_requests_a_second_over_one_connection(self, nmi: Nmi) -> None:
        port = int(nmi.simulator.url.rsplit(":", 1)[1])
        body = b"security_key=demo-nmi-security-key&type=sale&amount=1.00&payment_token=nmi_tok_ok"
        request = b"POST /nmi/api/transact.php HTTP/1.1\r\nHost: s\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        took: list[float] = []
        with socket.create_connection(("127.0.0.1", port)) as connection:
            for _ in range(300):
                started = time.monotonic()
                connection.sendall(request)
                assert b"response_code=100" in connection.recv(65536)
                took.append(time.monotonic() - started)

        # The quickest one: Nagle's delay would make each 40 ms, while a loaded machine slows some.
        assert min(took) < 0.03


def _call_ignoring_trouble(simulator: SimulatorProcess) -> None:
    with closing(Nmi(simulator)) as nmi, suppress(httpx.HTTPError):
        nmi.sale("ref-1")
