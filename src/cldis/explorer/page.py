"""The page of the explorer: Gradio's parts, wired to `Actions`."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any

import gradio as gr

from cldis.explorer import views
from cldis.explorer.actions import Actions
from cldis.explorer.gradio_parts import GalleryOutput, PictureOutput, untouched
from cldis.explorer.pictures import coarse, picture
from cldis.explorer.received import Received
from cldis.explorer.sessions import Sessions
from cldis.explorer.studio import MEASURED, REACH, SHIFT, Studio
from cldis.explorer.uploads import FORMATS, MAX_BYTES, MAX_PHOTOS

LISTS = [("extremes of a direction", "extremes"), ("neighbours of my photo", "neighbours")]
LISTS += [("outliers", "outliers")]
HIDDEN: dict[str, Any] = {"show_progress": "hidden"}
FULL = {**HIDDEN, "concurrency_id": "full"}  # the queue of full pictures
REST = {**HIDDEN, "concurrency_id": "rest"}
LAST = {"trigger_mode": "always_last"}
PREVIEW = {**HIDDEN, **LAST, "concurrency_id": "preview"}
SHOWING: dict[str, Any] = {"height": "auto", "allow_preview": False, "interactive": False}
SHOWING |= {"show_label": False, "buttons": []}  # galleries to choose from
ENDINGS = [".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"]


def build(studio: Studio, received: Received) -> gr.Blocks:
    """The page of a run; `received` holds what its visitors upload."""
    sessions = Sessions(len(studio.rows))
    title = f"cldis explorer: {studio.run.path.name}"
    with gr.Blocks(title=title, analytics_enabled=False) as page:
        Page(studio, Actions(studio, sessions, received), page)

        def closed(request: gr.Request) -> None:
            sessions.end(key(request))

        page.unload(closed)
    return page


PhotoInput, FilesInput = untouched(gr.Image), untouched(gr.File)


class Page:
    """Parts and wires. Computing waits in three queues: previews, full pictures, the rest."""

    def __init__(self, studio: Studio, actions: Actions, page: gr.Blocks) -> None:
        self.studio, self.actions, self.page = studio, actions, page
        self.named: list[Any] = []  # drop-downs that list the directions
        rows = studio.rows
        self.active = [i for i, row in enumerate(rows) if row.active] or list(range(len(rows)))
        name = studio.run.path.name
        gr.HTML(
            f"<h1>{html.escape(name)} <small>cldis explorer</small></h1>"
            f"<p>Move a direction, see your photo follow. "
            f"Everything is computed here; photos are kept in memory until the page closes.</p>"
        )
        with gr.Tab("Edit"):
            self.edit()
        with gr.Tab("Names") as tab:
            self.names(tab)
        with gr.Tab("Mix"):
            self.mix()
        with gr.Tab("Many photos"):
            self.many()
        with gr.Tab("Collection") as tab:
            self.collection(tab)
        with gr.Tab("Run") as tab:
            text = gr.HTML()
            tab.select(self.actions.run_page, None, text, **HIDDEN)
        everywhere = [*self.sliders, *self.named]
        page.load(self.opened, None, [*everywhere, *self.boxes], **HIDDEN)
        gr.on(
            [self.keep.click, *[box.submit for box in self.boxes]],
            self.renamed,
            self.boxes,
            [self.told, *everywhere],
            **HIDDEN,
        )
        page.load(self.first, None, self.view, **FULL)

    def gallery(self, label: str) -> Any:
        gr.HTML(f"<h2>{label}</h2>")
        return GalleryOutput(
            [(picture(image), None) for image in self.studio.samples.images],
            label=label,
            columns=6,
            elem_classes=self.gridded(),
            **SHOWING,
        )

    def gridded(self) -> list[str]:
        return ["photos", *(["pixelgrid"] if coarse(self.studio.resolution) else [])]

    def upload(self, label: str) -> Any:
        megabytes = MAX_BYTES // 2**20
        return PhotoInput(
            label=label,
            sources=["upload", "clipboard", "webcam"],
            height=200,
            type="filepath",
            buttons=[],
            placeholder=f"Drop a photo here\n{', '.join(FORMATS)}, at most {megabytes} MB",
        )

    def choices(self) -> list[tuple[str, int]]:
        return [(self.studio.label(i), i) for i in range(len(self.studio.rows))]

    def direction(self, label: str, **options: Any) -> Any:
        made = gr.Dropdown(self.choices(), value=0, label=label, **options)
        self.named.append(made)
        return made

    def slider_label(self, row: int) -> str:
        direction = self.studio.rows[row]
        if not direction.active:
            return f"{self.studio.label(row)} · changes nothing"
        score = "" if direction.score is None else f" · {direction.score:.2f}"
        return f"{self.studio.label(row)}{score}"

    def order(self) -> str:
        if any(row.score is not None for row in self.studio.rows):
            return "; after its name, its content-tracking score, the best first"
        return "; the strongest first, as this run has no scores yet (<code>cldis track</code>)"

    def edit(self) -> None:
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                samples = self.gallery("Photos the model has not trained on: choose one")
            with gr.Column(scale=1, min_width=260):
                photo = self.upload("Or your own photo")
        with gr.Row():
            with gr.Column(scale=2, min_width=320, elem_classes=["left"]):
                with gr.Column(elem_classes=["board"]):
                    status = gr.HTML(views.status("Loading …", "busy"), elem_id="status")
                    stage = gr.HTML(elem_id="stage")
                with gr.Row():
                    undo = gr.Button("Undo", size="sm", min_width=80)
                    reset = gr.Button("Reset all", size="sm", min_width=80)
                links = gr.HTML(elem_id="links")
                with gr.Accordion("Strip and animation of one direction", open=False):
                    along = self.direction("Direction to draw")
                    drawing = gr.Button("Draw strip and animation", size="sm")
                    strip_status = gr.HTML()
                    strip = gr.HTML(elem_id="strip")
            with gr.Column(scale=3, min_width=320):
                gr.HTML(
                    f"<h2>Directions</h2><p>One slider per {self.studio.kind}, in standard "
                    f"deviations. Beside it, where it changes pictures{self.order()}.</p>"
                )
                regions: dict[str, list[int]] = {}
                for row in self.active:
                    regions.setdefault(self.studio.rows[row].region, []).append(row)
                made: dict[int, Any] = {}
                with gr.Column(elem_classes=["sliders"]):
                    for word, rows in regions.items():
                        gr.HTML(f"<h3>{word}</h3>", elem_classes=["region"], padding=False)
                        made |= {row: self.slider(row) for row in rows}
                still = [row for row in range(len(self.studio.rows)) if row not in made]
                if still:
                    words = f"{len(still)} that change next to nothing"
                    with gr.Accordion(words, open=False), gr.Column(elem_classes=["sliders"]):
                        made |= {row: self.slider(row) for row in still}
                self.sliders = [made[row] for row in range(len(self.studio.rows))]
        self.view = [status, stage, links]
        samples.select(self.sample, None, self.view, **FULL)
        photo.change(self.uploaded, photo, [photo, *self.view], **FULL)
        gr.on(
            [slider.input for slider in self.sliders],
            self.preview,
            self.sliders,
            self.view,
            **PREVIEW,
        ).then(self.follow, self.sliders, self.view, **FULL, **LAST)
        for button, step, given in ((undo, self.undone, self.sliders), (reset, self.cleared, None)):
            clicked = button.click(step, given, self.sliders, **HIDDEN)
            clicked.then(self.settle, self.sliders, self.view, **FULL)
        drawing.click(self.draw, along, [strip_status, strip], **REST)

    def slider(self, row: int) -> Any:
        with gr.Row(elem_classes=["direction"]):
            gr.HTML(
                views.thumbnail(self.studio, row),
                elem_classes=["heatbox"],
                min_width=56,
                padding=False,
            )
            return gr.Slider(
                -REACH,
                REACH,
                0,
                step=0.1,
                label=self.slider_label(row),
                buttons=["reset"],
                min_width=200,
                elem_id=f"slider-{row}",
            )

    def names(self, tab: Any) -> None:
        gr.HTML(
            f"<p>Each {self.studio.kind} on {MEASURED} photos: moved down by {SHIFT:g} standard "
            f"deviations, as the photo is, moved up. What do the strips of a row have in common? "
            f"Names are kept in the run.</p>"
        )
        self.told = gr.HTML(views.status("Loading …", "busy"), elem_id="name-status")
        strips, self.boxes = [], []
        for row in self.active:
            with gr.Row(equal_height=False):
                with gr.Column(scale=3, min_width=320):
                    strips.append(gr.HTML())
                with gr.Column(scale=1, min_width=200):
                    number, where = self.studio.rows[row].number, self.studio.rows[row].region
                    label = f"Name of {self.studio.kind} {number} · {where}"
                    self.boxes.append(gr.Textbox(label=label, max_length=60, max_lines=1))
        self.keep = gr.Button("Keep these names", size="sm")
        tab.select(self.strips, None, [self.told, *strips], **REST)

    def mix(self) -> None:
        gr.HTML(
            "<p>The first photo is the one under Edit, without its edit. Choose a second one, "
            "then what to take from it.</p>"
        )
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                samples = self.gallery("Second photo: choose one")
            with gr.Column(scale=1, min_width=260):
                photo = self.upload("Or a second photo of yours")
        chosen = gr.CheckboxGroup(self.choices(), label="Take from the second photo")
        self.named.append(chosen)
        out = [gr.HTML(views.status("Choose a second photo.")), gr.HTML(elem_id="mixture")]
        samples.select(self.second, chosen, out, **REST)
        photo.change(self.second_uploaded, [photo, chosen], [photo, *out], **REST)
        chosen.input(self.mixed, chosen, out, **LAST, **REST)

    def many(self) -> None:
        gr.HTML("<p>The edit that the sliders show under Edit, copied to many photos.</p>")
        with gr.Row():
            files = FilesInput(
                label=f"Your photos, at most {MAX_PHOTOS} at a time",
                file_count="multiple",
                file_types=ENDINGS,
                height=150,
            )
            button = gr.Button("Copy to the sample photos")
        out = [gr.HTML(elem_id="copy-status"), gr.HTML(elem_id="copies")]
        files.upload(self.copied, files, [files, *out], **REST)
        button.click(self.copied_samples, None, out, **REST)

    def collection(self, tab: Any) -> None:
        status = gr.HTML(elem_id="map-status")
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                flat = PictureOutput(
                    label="Map of the codes",
                    interactive=False,
                    buttons=["fullscreen"],
                    elem_classes=["map"],
                    alt_text="Pictures of the collection, those with alike codes near each other",
                )
            with gr.Column(scale=2, min_width=300):
                colour = self.direction("Direction that colours the map and sorts the extremes")
                what = gr.Radio(LISTS, value="extremes", label="Show")
                near = gr.Dropdown(
                    self.choices(), value=[], multiselect=True, label="Neighbours along (none: all)"
                )
                self.named.append(near)
                words = gr.HTML(elem_id="list-status")
                shown = GalleryOutput(
                    label="Choose one to edit it",
                    columns=4,
                    elem_classes=["found", *self.gridded()],
                    **SHOWING,
                )
        asked = [what, colour, near]
        tab.select(self.mapped, colour, [status, flat], **REST).then(
            self.listed, asked, [words, shown], **REST
        )
        colour.input(self.mapped, colour, [status, flat], **REST)
        for part in asked:
            part.input(self.listed, asked, [words, shown], **REST)
        shown.select(self.from_list, None, [words, *self.view], **REST)
        flat.select(self.from_map, None, [status, *self.view], **REST)

    # What follows only translates between Gradio and `Actions`.

    def labels(self) -> list[Any]:
        sliders = [gr.update(label=self.slider_label(row)) for row in range(len(self.sliders))]
        return [*sliders, *[gr.update(choices=self.choices()) for _ in self.named]]

    def opened(self) -> list[Any]:
        self.studio.refresh()
        return [*self.labels(), *[self.studio.name(row) for row in self.active]]

    def first(self, request: gr.Request) -> Iterator[Any]:
        yield from self.actions.open_sample(key(request), 0)

    def sample(self, request: gr.Request, event: gr.SelectData) -> Iterator[Any]:
        yield from self.actions.open_sample(key(request), event.index)

    def uploaded(self, path: str | None, request: gr.Request) -> Iterator[Any]:
        if path is None:
            yield [gr.skip() for _ in range(4)]
            return
        for view in self.actions.open_upload(key(request), path):
            yield [None, *view]

    def preview(self, request: gr.Request, *amounts: float) -> Any:
        return self.actions.preview(key(request), amounts)

    def settle(self, request: gr.Request, *amounts: float) -> Any:
        return self.actions.settle(key(request), amounts)

    def follow(self, request: gr.Request, *amounts: float) -> Any:
        view = self.actions.follow(key(request), amounts)
        return [gr.skip() for _ in self.view] if view is None else view

    def undone(self, request: gr.Request, *amounts: float) -> Any:
        return self.one_or_all(self.actions.undo(key(request), amounts))

    def cleared(self) -> Any:
        return self.one_or_all((0.0,) * len(self.sliders))

    def one_or_all(self, amounts: tuple[float, ...]) -> Any:
        """Gradio takes the value itself where there is one output."""
        return amounts[0] if len(amounts) == 1 else list(amounts)

    def draw(self, row: int, request: gr.Request) -> Iterator[Any]:
        yield from self.actions.strip(key(request), row)

    def strips(self) -> Iterator[Any]:
        for status, shown in self.actions.strips(self.active):
            yield [status, *[shown.get(row, gr.skip()) for row in self.active]]

    def renamed(self, *names: str) -> list[Any]:
        given = dict(zip(self.active, names, strict=True))
        return [self.actions.rename(given), *self.labels()]

    def second(self, chosen: list[int], request: gr.Request, event: gr.SelectData) -> Iterator[Any]:
        yield from self.actions.second_sample(key(request), event.index, chosen)

    def second_uploaded(
        self, path: str | None, chosen: list[int], request: gr.Request
    ) -> Iterator[Any]:
        if path is None:
            yield [gr.skip() for _ in range(3)]
            return
        for view in self.actions.second_upload(key(request), path, chosen):
            yield [None, *view]

    def mixed(self, chosen: list[int], request: gr.Request) -> Iterator[Any]:
        yield from self.actions.mix(key(request), chosen)

    def copied(self, paths: list[str] | None, request: gr.Request) -> Iterator[Any]:
        for view in self.actions.copy_to_uploads(key(request), paths or []):
            yield [None, *view]

    def copied_samples(self, request: gr.Request) -> Iterator[Any]:
        yield from self.actions.copy_to_samples(key(request))

    def mapped(self, row: int) -> Iterator[Any]:
        yield views.status("Computing the map …", "busy"), gr.skip()
        yield self.actions.map(row)

    def listed(self, what: str, row: int, near: list[int], request: gr.Request) -> Any:
        return self.actions.listed(key(request), what, row, near)

    def from_list(self, request: gr.Request, event: gr.SelectData) -> Iterator[Any]:
        for view in self.actions.open_listed(key(request), event.index):
            yield [told(view[0]), *view]

    def from_map(self, request: gr.Request, event: gr.SelectData) -> Iterator[Any]:
        for view in self.actions.hit(key(request), event.index):
            yield [told(view[0]), *view]


def key(request: gr.Request) -> str:
    """Of the page that asks: who the gate says it is, and what it calls itself."""
    return str(request.session_hash)


def told(status: str) -> str:
    """The status beside the collection: where the chosen picture has gone."""
    done = views.status("The picture is under Edit now.")
    return done if 'class="state done"' in status else status
