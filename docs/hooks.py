"""What the documentation does while it is built: it shows the committed figures, and searches without a network."""

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

FIGURES = Path(__file__).parent.parent / "experiments" / "results" / "figures"
FOREIGN = '<script src="https://unpkg.com/iframe-worker/shim"></script>'
"""what the theme loads from elsewhere, since browsers start no worker for a page that lies on the disk"""
WORKER = """<script>
if (location.protocol === "file:") window.Worker = class extends EventTarget {
  constructor(script) {
    super()
    const frame = document.createElement("iframe"), waiting = []
    frame.hidden = true
    document.body.append(frame)
    const inside = frame.contentWindow
    inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
    this.postMessage = data => waiting.push(data)
    const element = inside.document.createElement("script")
    element.src = script
    element.onload = () => {
      this.postMessage = data => inside.dispatchEvent(new MessageEvent("message", { data }))
      waiting.forEach(this.postMessage)
    }
    inside.document.body.append(element)
  }
}
</script>"""


def on_files(files: Any, config: Any) -> Any:
    """Add every figure as figures/NAME.png."""
    for path in sorted(FIGURES.glob("*.png")):
        files.append(File.generated(config, f"figures/{path.name}", abs_src_path=str(path)))
    return files


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Replace the foreign script in a page by one that runs the search's worker in a frame of the page."""
    if FOREIGN not in output:
        raise ValueError(f"the theme no longer loads {FOREIGN}: see what its search needs now")
    return output.replace(FOREIGN, WORKER)


def on_post_template(output_content: str, template_name: str, config: Any) -> str:
    """Do the same in pages without a source, such as 404.html."""
    return output_content.replace(FOREIGN, WORKER)
