"""The look of the explorer: fonts of the machine itself, nothing from outside. And Ctrl+V."""

from __future__ import annotations

from typing import Any

FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif")
MONO = ("ui-monospace", "DejaVu Sans Mono", "monospace")


def theme() -> Any:
    import gradio as gr

    return gr.themes.Default(
        primary_hue="blue", neutral_hue="slate", font=list(FONT), font_mono=list(MONO)
    )


CSS = """
body:not(.dark) .gradio-container { --body-text-color-subdued:#56606d;
  --input-placeholder-color:#56606d; }
.gradio-container { overflow:visible !important; width:100% !important;
  max-width:1400px !important; margin:0 auto !important; }
.gradio-container h2 { font-size:1.05rem !important; margin:.3rem 0 !important; }
.gradio-container h1 small { font-size:.9rem; font-weight:normal; }
.gradio-container h1 { font-size:1.5rem; margin:.2rem 0; }
.state { margin:0; padding:.45rem .8rem; border-left:.3rem solid #0072b2; border-radius:.2rem;
  background:var(--block-background-fill); color:var(--body-text-color); min-height:1.5em; }
.state.busy { border-color:#e69f00; } .state.bad { border-color:#d55e00; font-weight:600; }
.state.busy::before { content:""; display:inline-block; width:.7em; height:.7em; margin-right:.5em;
  border:.15em solid #e69f00; border-right-color:transparent; border-radius:50%;
  animation:turn 1s linear infinite; }
@keyframes turn { to { transform:rotate(1turn); } }
@media (prefers-reduced-motion:reduce) { .state.busy::before { animation:none; } }
.stage { display:grid; grid-template-columns:1fr 1fr; gap:.7rem; max-width:520px; }
.stage.three { grid-template-columns:repeat(3, 1fr); max-width:780px; }
.stage figure, .pair figure { margin:0; min-width:0; }
.stage img, .pair img { width:100%; max-width:340px; display:block; border-radius:.3rem; }
.stage figcaption, .pair figcaption { font-size:.85rem; color:var(--body-text-color);
  overflow-wrap:anywhere; }
.pixels { image-rendering:pixelated; }
.links { display:flex; flex-wrap:wrap; gap:.4rem 1rem; margin:.3rem 0; align-items:baseline; }
a.take { color:var(--body-text-color); text-decoration:underline; font-weight:600; }
.soft { color:var(--body-text-color); font-size:.9rem; overflow-wrap:anywhere; }
.strip img { max-width:100%; }
.strip .moving { margin-top:.5rem; }
.places { display:flex; font-size:.8rem; text-align:center; } .places span { flex:1; }
.pairs { display:grid; grid-template-columns:repeat(auto-fill, minmax(210px, 1fr)); gap:.8rem; }
.pair { display:grid; grid-template-columns:1fr 1fr; gap:.3rem; }
.sliders { display:grid !important; gap:.5rem !important;
  grid-template-columns:repeat(auto-fill, minmax(min(300px, 100%), 1fr)); }
.direction { flex-wrap:nowrap !important; align-items:center !important; gap:.4rem !important; }
img.heat { width:46px; height:46px; max-width:none; border-radius:.3rem; display:block; }
.heatbox { flex:0 0 56px !important; min-width:56px !important; width:56px !important;
  padding:0 !important; overflow:hidden; }
.direction > *:last-child { min-width:0 !important; }
.photos .grid-wrap, .photos .grid-container { min-height:0 !important; height:auto !important; }
.photos .grid-container { grid-template-columns:repeat(auto-fill, minmax(56px, 1fr)) !important;
  grid-template-rows:auto !important; align-content:start; }
.photos .thumbnail-item { aspect-ratio:1; height:auto !important; }
.photos.found .grid-container {
  grid-template-columns:repeat(auto-fill, minmax(88px, 1fr)) !important; }
.tiles { display:flex; flex-wrap:wrap; gap:.7rem; margin:.5rem 0; }
.tiles > div { background:var(--block-background-fill);
  border:1px solid var(--border-color-primary);
  border-radius:.5rem; padding:.5rem .9rem; min-width:7rem; }
.tiles b { display:block; font-size:1.25rem; } .tiles span { font-size:.86rem; }
.verdict { border-left:.3rem solid #0072b2; padding:.4rem .8rem; margin:.3rem 0; }
.verdict.good { border-color:#009e73; } .verdict.bad { border-color:#d55e00; }
.scroll { overflow-x:auto; } .scroll table { border-collapse:collapse; }
.scroll table, .scroll thead, .scroll tr, .scroll th, .scroll td { border:0 !important; }
.scroll th, .scroll td { text-align:left; padding:.2rem .8rem; font-weight:normal;
  border-bottom:1px solid var(--border-color-primary) !important; }
.scroll thead th { font-weight:600; }
.map img { cursor:crosshair; }
.pixelgrid img { image-rendering:pixelated; }
.min_value, .max_value, .or, input::placeholder {
  opacity:1; color:var(--body-text-color) !important; }
:focus-visible { outline:3px solid #e69f00 !important; outline-offset:2px; }
@media (min-width:900px) { .left { position:sticky; top:.5rem; align-self:flex-start; } }
@media (max-width:640px) {
  .stage { grid-template-columns:repeat(4, 1fr); gap:.3rem; max-width:none; }
  .stage figcaption { font-size:.7rem; }
  .left { display:contents !important; }
  .board { order:-1; position:sticky; top:0; z-index:20; background:var(--body-background-fill); }
}
"""

# Gradio pastes by a button only, which browsers allow on this machine or over TLS. The keys work
# anywhere: the picture goes where a chosen file would, on the tab that is open.
PASTE = """
() => document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((file) => file.type.startsWith("image/"));
  const input = [...document.querySelectorAll(".image-container input[type=file]")]
    .find((input) => input.closest(".image-container").offsetParent);
  if (!file || !input) return;
  event.preventDefault();
  const chosen = new DataTransfer();
  chosen.items.add(file);
  input.files = chosen.files;
  input.dispatchEvent(new Event("change", {bubbles: true}));
})
"""
