"""Sources are tested against real servers: no law here may depend on how busy the machine is."""

from hypothesis import settings

settings.register_profile("sources", deadline=None)
settings.load_profile("sources")
