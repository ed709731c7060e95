"""No test is timed: how long hypothesis may take for an example is a question of what else the machine does."""

from hypothesis import HealthCheck, settings

settings.register_profile("connspect", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("connspect")
