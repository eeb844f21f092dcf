# The library and the checked configuration. Nothing here depends on the working directory, nor on
# which Snakefile imports this one as a module.

import sys
from pathlib import Path

# A clone brings its library along; a Snakefile that lies elsewhere finds the installed one.
SCRIPTS = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent / "scripts"
if (SCRIPTS / "nsdrecon").is_dir():
    sys.path.insert(0, str(SCRIPTS))

from nsdrecon.metrics import check_added
from nsdrecon.settings import (
    complete_settings,
    named_extensions,
    read_schema,
    with_workflow_folder,
)
from nsdrecon.systems import check_implementations, registry

config.update(with_workflow_folder(config, SCRIPTS.parent, Path.cwd()))
REGISTRY = registry(named_extensions(config))
if workflow.is_main_process:
    check_implementations(REGISTRY)
    check_added(named_extensions(config))
complete_settings(
    config, read_schema(workflow.source_path("../schemas/config.schema.yaml"), REGISTRY)
)
