"""The data set: from its files to trials, responses, images and captions, by ``nsd_id``."""
