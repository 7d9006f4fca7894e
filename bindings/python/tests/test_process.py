"""Forks, the end of the interpreter, and other interpreters: each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from typing import List

import pytest

import allotment

BEGIN = """
import asyncio, os, sys, threading, time, warnings
# That they fork with threads is on purpose.
warnings.simplefilter("ignore", DeprecationWarning)
import allotment
governor = allotment.Governor("64 MiB")
chat = governor.register_tenant("chat", priority="high")
cache = governor.register_tenant("cache", priority="low")
"""


def run(program: str) -> List[str]:
    """Runs a program to its end, which has to be a good one, and answers what it said."""
    ended = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", BEGIN + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    return ended.stdout.split("\n")[:-1]


def in_a_fork(body: "List[object]") -> None:
    """Runs calls in a fork, each of which has to be refused there."""
    child = os.fork()
    if child == 0:
        wrong = 1
        try:
            for number, call in enumerate(body):
                wrong = number + 2
                try:
                    call()  # type: ignore[operator]
                except allotment.ForkedError as error:
                    assert error.code == "forked"
                    continue
                break
            else:
                wrong = 0
        finally:
            os._exit(wrong)
    status = os.waitpid(child, 0)[1]
    assert status == 0, f"call {os.WEXITSTATUS(status) - 2} of the fork"


def test_a_fork_is_refused(governor: allotment.Governor) -> None:
    chat = governor.register_tenant("chat")
    group = governor.register_group("org")
    grant = chat.request("4 MiB", "inference")
    in_a_fork(
        [
            lambda: chat.acquire(1, "cache"),
            lambda: chat.acquire_async(1, "cache"),
            lambda: chat.try_acquire(1, "cache"),
            lambda: chat.request(1, "cache"),
            lambda: chat.explain(1, "cache"),
            lambda: governor.acquire("chat", 1, "cache"),
            lambda: governor.register_tenant("other"),
            lambda: governor.snapshot(),
            lambda: governor.balance(),
            lambda: governor.close(),
            lambda: group.update(limit=None),
            lambda: grant.touch(),
            lambda: grant.bytes,
            lambda: grant.grow(1),
            lambda: grant.release(),
            lambda: grant.__enter__(),
        ]
    )
    assert grant.bytes == 4 << 20 and grant.release()


def test_a_fork_gives_nothing_back(governor: allotment.Governor) -> None:
    chat = governor.register_tenant("chat")
    full = chat.request("64 MiB", "inference")
    wish = chat.acquire_async("1 MiB", "inference")._wish
    assert wish is not None
    ticket = wish.enqueue()
    assert not isinstance(ticket, allotment.Grant) and ticket.poll(lambda: None) is None
    child = os.fork()
    if child == 0:
        assert repr(governor) == "<allotment.Governor of the parent process>"
        assert repr(full).endswith("ended>")
        full.__exit__(None, None, None)
        del full, ticket, chat, governor
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert full.is_live and governor.snapshot().waiters == 1
    del ticket
    full.release()


def test_a_fork_makes_its_own_and_ends_by_itself() -> None:
    said = run(
        """
        governor.on_reclaim(lambda victim: "freed", within=5)
        block = cache.request("64 MiB", "cache")
        chat.request("1 MiB", "inference").release()
        held = chat.request("1 MiB", "inference")
        waiting = threading.Thread(target=lambda: chat.acquire("64 MiB", "inference").release())
        waiting.start()
        while governor.snapshot().waiters == 0:
            time.sleep(0.01)
        child = os.fork()
        if child == 0:
            own = allotment.Governor("1 MiB")
            with own.register_tenant("child").acquire("1 MiB", "inference"):
                print("the child holds", own.snapshot().live, flush=True)
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        held.release()
        waiting.join()
        print("the parent holds", governor.snapshot().live)
        """
    )
    assert said == ["the child holds 1048576", "the parent holds 0"]


def test_a_fork_within_a_handler() -> None:
    said = run(
        """
        @governor.on_reclaim
        def drop(victim):
            global child
            child = os.fork()
            return "freed"
        block = cache.request("64 MiB", "cache")
        grant = chat.request("1 MiB", "inference")
        try:
            grant.release()
        except allotment.ForkedError:
            os._exit(5)
        assert os.waitpid(child, 0)[1] >> 8 == 5
        print("freed")
        """
    )
    assert said == ["freed"]


def test_multiprocessing_by_fork() -> None:
    said = run(
        """
        import multiprocessing
        def child(queue):
            try:
                chat.request(1, "cache")
            except allotment.ForkedError as error:
                queue.put(error.code)
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        process = context.Process(target=child, args=(queue,))
        process.start()
        print(queue.get(timeout=30))
        process.join()
        assert process.exitcode == 0
        """
    )
    assert said == ["forked"]


def test_the_end_with_everything_alive() -> None:
    run(
        """
        kept = [chat.request(1, "cache") for _ in range(100)]
        governor.on_reclaim(lambda victim: "freed", within=5)
        governor.on_pressure(print)
        kept.append(kept)
        """
    )


def test_the_end_while_daemon_threads_wait() -> None:
    run(
        """
        full = chat.request("64 MiB", "inference")
        def wait():
            while True:
                try:
                    chat.acquire("1 MiB", "inference", timeout=0.01)
                except allotment.Timeout:
                    pass
        for _ in range(8):
            threading.Thread(target=wait, daemon=True).start()
        threading.Thread(
            target=lambda: chat.acquire("1 MiB", "inference"), daemon=True
        ).start()
        time.sleep(0.2)
        """
    )


def test_the_end_while_daemon_threads_work() -> None:
    run(
        """
        governor.on_reclaim(lambda victim: "freed")
        def work():
            while True:
                try:
                    chat.request("20 MiB", "cache")
                    cache.request("20 MiB", "cache")
                except allotment.Denied:
                    pass
        for _ in range(4):
            threading.Thread(target=work, daemon=True).start()
        time.sleep(0.3)
        """
    )


def test_the_end_waits_for_a_handler() -> None:
    said = run(
        """
        begun = threading.Event()
        def slow(victim):
            begun.set()
            time.sleep(0.3)
            print("freed", flush=True)
            return "freed"
        governor.on_reclaim(slow, within=30)
        block = cache.request("64 MiB", "cache")
        threading.Thread(target=lambda: chat.request("1 MiB", "inference"), daemon=True).start()
        begun.wait()
        """
    )
    assert said == ["freed"]


def test_the_end_while_a_handler_hangs() -> None:
    run(
        """
        begun = threading.Event()
        def hang(victim):
            begun.set()
            time.sleep(3600)
            return "freed"
        governor.on_reclaim(hang, within=0.5)
        block = cache.request("64 MiB", "cache")
        try:
            chat.request("1 MiB", "inference")
        except allotment.Denied:
            pass
        assert begun.wait(10)
        """
    )


def test_the_end_while_tasks_wait() -> None:
    run(
        """
        full = chat.request("64 MiB", "inference")
        async def main():
            tasks = [asyncio.ensure_future(chat.acquire_async("1 MiB", "inference", timeout=0.5)
                     .__aenter__()) for _ in range(10)]
            await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
        asyncio.run(main())
        """
    )


def test_a_governor_goes_while_its_thread_wakes_somebody() -> None:
    run(
        """
        def once(number):
            governor = allotment.Governor("1 MiB")
            chat = governor.register_tenant("chat")
            full = chat.request("1 MiB", "inference")
            timeout = 0.0002 * (1 + number % 5)
            ticket = chat.acquire_async("1 MiB", "inference", timeout=timeout)._wish.enqueue()
            end = time.perf_counter() + timeout
            try:
                assert ticket.poll(lambda: None) is None
            except allotment.Timeout:
                pass
            while time.perf_counter() < end:
                pass
        # Whoever has the interpreter keeps it for long, so that the other one has to wait for it.
        sys.setswitchinterval(10)
        for number in range(300):
            once(number)
        """
    )


def test_the_end_by_a_signal() -> None:
    program = BEGIN + textwrap.dedent(
        """
        full = chat.request("64 MiB", "inference")
        print("waits", flush=True)
        chat.acquire("1 MiB", "inference")
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "waits\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in said and process.returncode == -signal.SIGINT


def test_calls_while_the_interpreter_ends() -> None:
    run(
        """
        import atexit
        def last():
            with chat.request("1 MiB", "inference"):
                pass
        atexit.register(last)
        class Late:
            def __del__(self):
                block = cache.request("64 MiB", "cache")
                assert chat.try_acquire("1 MiB", "inference") is None
                block.release()
        sys.late = Late()
        """
    )


@pytest.mark.parametrize("first", ["", "import allotment"])
def test_another_interpreter_is_refused_in_words(first: str) -> None:
    program = f"""
        {first}
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        other = interpreters.create()
        try:
            print(interpreters.run_string(other, "import allotment"))
        except interpreters.RunFailedError as error:
            print(error)
        """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "ImportError" in ended.stdout and "subinterpreters" in ended.stdout
