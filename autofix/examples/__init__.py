"""Small networks to try autofix on: `autofix check autofix.examples.mri:BadCNN --min-input 5`."""
