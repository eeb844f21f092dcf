# The library. Nothing here depends on the working directory, nor on which Snakefile imports this one
# as a module.

import sys
from pathlib import Path

# A clone brings its library along; a Snakefile that lies elsewhere finds the installed one.
SCRIPTS = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent / "scripts"
if (SCRIPTS / "nsdrecon").is_dir():
    sys.path.insert(0, str(SCRIPTS))

from nsdrecon.mistakes import plainly, readable, without_places

sys.excepthook = without_places

# Of files laid over each other the last one wins; here it is the first.
CONFIGURATION_FILES = [*reversed(workflow.overwrite_configfiles), CONFIGURATION]
