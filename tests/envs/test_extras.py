import pytest

from envs.extras import MissingDependency, import_extra


def test_an_installed_module_is_imported():
    assert import_extra("json.decoder", "import", "reading").__name__ == "json.decoder"


@pytest.mark.parametrize("kind", [MissingDependency, ImportError, ValueError])
def test_a_missing_one_is_named_with_the_remedy(kind):
    with pytest.raises(kind, match=r"^reading .* no_such_module: pip install 'jumpy-imagination\[import\]'$"):
        import_extra("no_such_module", "import", "reading")
