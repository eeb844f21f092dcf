# The checked configuration, and the tables of what there is to choose from.

from nsdrecon.metrics import check_added
from nsdrecon.settings import (
    complete_settings,
    default_values,
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
SCHEMA = read_schema(workflow.source_path("../schemas/config.schema.yaml"), REGISTRY)
complete_settings(
    config,
    SCHEMA,
    files=CONFIGURATION_FILES,
)
