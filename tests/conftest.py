"""Its place puts the modules of this folder on the import path of all tests."""
