"""A pytest plugin: Hypothesis judges the product and not the machine.

The first draw reads tables that a fresh machine has yet to make, and a busy machine takes long over each: neither is a
fault, so no test has a deadline, and none fails because a draw was slow. A fixture that is made once for all examples
is what the tests of this suite expect. With CI=true the examples are the same in every run, as Hypothesis has it.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "suite",
    settings(),  # Hypothesis's own: another one with CI=true
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("suite")
