"""Runs a scenario with MLflow's client made to do one thing after another.

    steady.py SCRIPT ARGUMENTS…

The client notes which experiment a prompt was used in by a thread of its own, whose calls would be recorded in this step
or in the next one as chance has it. Here such a thread is waited for where it is started.
"""
import runpy
import sys
import threading

start = threading.Thread.start


def start_and_wait(thread):
    start(thread)
    if thread.name.startswith("link_prompt"):
        thread.join()


threading.Thread.start = start_and_wait
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
