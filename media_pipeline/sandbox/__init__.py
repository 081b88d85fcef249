"""A local, deterministic Genesys Cloud org, in both dialects, to rehearse on and to test against over real HTTP.

It imports no other room of the project, and only the command line and the tests import it. `serve.serve(options)`
runs it in the foreground, `running.running(options)` in a thread, `python -m media_pipeline.sandbox` from a shell.
"""

from media_pipeline.sandbox.options import OptionsError, SandboxOptions

__all__ = ["OptionsError", "SandboxOptions"]
