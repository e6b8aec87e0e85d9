"""What a visitor can do, apart from the page it is done on: keys and numbers in, HTML out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

import numpy as np
from PIL import Image
from torch import Tensor

from cldis.explorer import pictures, views
from cldis.explorer.collection import Collection, along
from cldis.explorer.received import Received
from cldis.explorer.sessions import Session, Sessions
from cldis.explorer.studio import REACH, Begin, Studio
from cldis.explorer.uploads import MAX_PHOTOS, read_upload, shown_name
from cldis.images import to_model
from cldis.training.info import run_info

PLACES = tuple(round(-REACH + 0.5 * i, 1) for i in range(int(4 * REACH) + 1))
SHOWN = 8  # pictures in a list

View = tuple[str, str, str]  # status, stage, downloads
Mixture = tuple[str, str]  # status, and the mixture
Photo = tuple[Tensor, str, Callable[[], Begin]]  # [3, H, W], its name, what the model makes of it


class Actions:
    """Every method takes the key of a session first. Generators give the state as it grows."""

    def __init__(self, studio: Studio, sessions: Sessions, received: Received) -> None:
        self.studio, self.sessions, self.received = studio, sessions, received

    def words(self, amounts: Sequence[float]) -> str:
        """`smile +2, unit 3 -1`."""
        moved = [(i, amount) for i, amount in enumerate(amounts) if amount]
        return ", ".join(f"{self.studio.label(i)} {amount:+g}" for i, amount in moved)

    def open_sample(self, key: str, index: object) -> Iterator[View]:
        """Put a sample photo on the stage, keeping the edit."""
        return self._open(key, lambda: self._sample(index))

    def open_upload(self, key: str, path: str) -> Iterator[View]:
        """Put an uploaded photo on the stage; a refused one leaves everything as it was."""
        return self._open(key, lambda: self._upload(key, path))

    def open_listed(self, key: str, index: object) -> Iterator[View]:
        """Put a picture of the list that is shown on the stage."""
        return self._open(key, lambda: self._listed(key, index))

    def hit(self, key: str, place: object) -> Iterator[View]:
        """Put the picture at a place [x, y] of the map on the stage."""

        def find() -> Photo:
            if not isinstance(place, list):
                raise ValueError(f"{place!r:.40} is no place of the map; click on a picture.")
            self.sessions.get(key).ids = [pictures.map_hit(self.studio.collection(), *place)]
            return self._listed(key, 0)

        return self._open(key, find)

    def preview(self, key: str, amounts: Sequence[float]) -> View:
        """The edit in few steps."""
        session = self.sessions.get(key)
        if session.photo is None:
            return views.status("Choose a photo first.", "bad"), "", ""
        session.wanted = tuple(amounts)
        drawn = self.studio.preview(session.photo, amounts)
        words = self.words(amounts)
        return (
            views.status("Preview. Computing the full picture …", "busy"),
            views.stage(self.studio, session.photo, drawn, "busy", words),
            "",
        )

    def follow(self, key: str, amounts: Sequence[float]) -> View | None:
        """The full edit after its preview; None where the sliders have gone on meanwhile."""
        session = self.sessions.get(key)
        if session.wanted != tuple(amounts):
            return None
        view = self._full(session, amounts)
        return view if session.wanted == tuple(amounts) else None

    def settle(self, key: str, amounts: Sequence[float]) -> View:
        """The edit in full."""
        session = self.sessions.get(key)
        session.wanted = tuple(amounts)
        return self._full(session, amounts)

    def _full(self, session: Session, amounts: Sequence[float]) -> View:
        begin = session.photo
        if begin is None:
            return views.status("Choose a photo first.", "bad"), "", ""
        drawn = self.studio.edited(begin, amounts)
        session.settle(tuple(amounts))
        session.picture = drawn
        words = self.words(amounts)
        return (
            views.status(f"Done: {words}." if words else "Done: nothing is changed yet."),
            views.stage(self.studio, begin, drawn, "done", words),
            views.photo_links(begin, drawn, words),
        )

    def undo(self, key: str, amounts: Sequence[float]) -> tuple[float, ...]:
        """The edit before the one that the sliders show, settled or not."""
        session = self.sessions.get(key)
        return session.undo() if tuple(amounts) == session.amounts else session.amounts

    def strip(self, key: str, row: int) -> Iterator[tuple[str, str]]:
        """Status, and the photo along one row as strip and animation."""
        session = self.sessions.get(key)
        if session.photo is None:
            yield views.status("Choose a photo first.", "bad"), ""
            return
        label = self.studio.label(row)
        yield views.status(f"Computing {len(PLACES)} pictures along {label} …", "busy"), ""
        frames = self.studio.traversal(session.photo, session.amounts, row, PLACES)
        shown = views.strip(frames, PLACES, session.photo, label)
        yield views.status(f"Done: {session.photo.name} along {label}."), shown

    def strips(self, rows: Sequence[int]) -> Iterator[tuple[str, dict[int, str]]]:
        """Status, and the strips of rows on several photos as they are drawn."""
        for done, row in enumerate(rows, 1):
            shown = {row: views.triples(self.studio, row)}
            yield views.status(f"Computing: strip {done} of {len(rows)} …", "busy"), shown
        yield views.status("Write what a strip shows beside it; Enter keeps the name."), {}

    def rename(self, names: Mapping[int, str]) -> str:
        """Status after naming rows; an empty name, or the one that a row has, changes nothing."""
        done, refused = [], []
        for row, name in names.items():
            before = self.studio.label(row)
            if name.strip() in ("", before):
                continue
            try:
                done.append(f"{before} is now called {self.studio.rename(row, name)}")
            except (ValueError, OSError) as error:
                refused.append(str(error))
        words = ". ".join([*refused, *done]) or "No name is new"
        return views.status(f"{words}.", "bad" if refused else "done")

    def second_sample(self, key: str, index: object, chosen: Sequence[int]) -> Iterator[Mixture]:
        """Take a sample as the second photo of a mix."""
        return self._second(key, lambda: self._sample(index), chosen)

    def second_upload(self, key: str, path: str, chosen: Sequence[int]) -> Iterator[Mixture]:
        """Take an uploaded photo as the second of a mix."""
        return self._second(key, lambda: self._upload(key, path), chosen)

    def mix(self, key: str, chosen: Sequence[int]) -> Iterator[tuple[str, str]]:
        """Status, and the photo with its place along `chosen` taken from the second photo."""
        session = self.sessions.get(key)
        if session.photo is None or session.other is None:
            yield views.status("Choose a second photo; the first is the one under Edit."), ""
            return
        yield views.status("Computing the mixture …", "busy"), ""
        result = self.studio.mixed(session.photo, session.other, chosen)
        names = ", ".join(self.studio.label(row) for row in chosen)
        words = f"Done: {names} from {session.other.name}." if names else "Nothing is taken yet."
        yield views.status(words), views.mixed(self.studio, session.photo, session.other, result)

    def copy_to_samples(self, key: str) -> Iterator[tuple[str, str]]:
        """The edit on all sample photos."""
        count = len(self.studio.samples.names)
        return self._copy(key, [self._sample(i)[2] for i in range(count)], [])

    def copy_to_uploads(self, key: str, paths: Sequence[str]) -> Iterator[tuple[str, str]]:
        """The edit on uploaded photos; those that cannot be read are named."""
        begins, refused = [], []
        for path in paths[:MAX_PHOTOS]:
            try:
                begins.append(self._upload(key, path)[2])
            except ValueError as error:
                refused.append(f"{shown_name(path)}: {error}")
        for path in paths[MAX_PHOTOS:]:
            with suppress(ValueError), self.received.taken(key, path):
                pass
        if len(paths) > MAX_PHOTOS:
            refused.append(f"{len(paths) - MAX_PHOTOS} photos beyond the first {MAX_PHOTOS}")
        return self._copy(key, begins, refused)

    def map(self, row: int) -> tuple[str, Image.Image | None]:
        """Status, and the map coloured by a row."""
        try:
            collection = self.studio.collection()
        except (ValueError, OSError) as error:
            return views.status(str(error), "bad"), None
        words = (
            f"{len(collection.labels):,} pictures of this run's data; alike codes lie near each "
            f"other. Yellow is high in {self.studio.label(row)}, blue is low. Click a picture to "
            f"edit it."
        )
        return views.status(words), pictures.draw_map(collection, self.studio.rows[row].number)

    def listed(
        self, key: str, what: str, row: int, near: Sequence[int]
    ) -> tuple[str, list[tuple[Image.Image, str]]]:
        """Status and captioned pictures: `extremes` of a row, `neighbours` of the photo along the
        rows `near`, or `outliers`."""
        session = self.sessions.get(key)
        try:
            collection = self.studio.collection()
        except (ValueError, OSError) as error:
            return views.status(str(error), "bad"), []
        label = self.studio.label(row)
        if what == "extremes":
            number = self.studio.rows[row].number
            low, high = collection.extremes(number, SHOWN)
            ids = [*low, *reversed(high)]
            notes = [f"{collection.codes[i, number]:+.1f}" for i in ids]
            words = f"Lowest and highest in {label}, in standard deviations from the mean."
        elif what == "outliers":
            ids, far = collection.outliers(2 * SHOWN)
            notes = [f"{value:.2f}" for value in far]
            words = "Farthest from their own neighbours, in standard deviations."
        elif session.photo is None:
            return views.status("Choose a photo first.", "bad"), []
        else:
            code = self._code(session)
            numbers = [self.studio.rows[i].number for i in near]
            ids, far = collection.nearest(code, numbers, 2 * SHOWN)
            notes = [f"{value:.2f}" for value in far]
            by = ", ".join(self.studio.label(i) for i in near) or "all of them"
            words = f"Nearest to {session.photo.name} along {by}, in standard deviations."
        session.ids = ids
        return views.status(words), self._captioned(collection, ids, notes)

    def run_page(self) -> str:
        return views.run_page(self.studio, run_info(self.studio.run))

    def _sample(self, index: object) -> Photo:
        samples = self.studio.samples
        place = one_of(index, len(samples.names))
        return samples.images[place], samples.names[place], lambda: self.studio.sample(place)

    def _upload(self, key: str, path: str) -> Photo:
        """An upload of this session; the file is removed, whatever it holds."""
        with self.received.taken(key, path) as file:
            return self._new(read_upload(file, self.studio.resolution), shown_name(file))

    def _listed(self, key: str, index: object) -> Photo:
        collection, ids = self.studio.collection(), self.sessions.get(key).ids
        place = ids[one_of(index, len(ids))]
        return self._new(
            to_model(collection.images[place][None])[0], shown_name(collection.labels[place])
        )

    def _new(self, image: Tensor, name: str) -> Photo:
        return image, name, lambda: self.studio.begin(image, name)

    def _code(self, session: Session) -> np.ndarray:
        assert session.photo is not None
        z = session.photo.z + self.studio.change(session.amounts)
        return along(self.studio.model, self.studio.directions, z[None].numpy())[0]

    def _captioned(
        self, collection: Collection, ids: Sequence[int], notes: Sequence[str]
    ) -> list[tuple[Image.Image, str]]:
        return [
            (Image.fromarray(collection.images[i].transpose(1, 2, 0)), note)
            for i, note in zip(ids, notes, strict=True)
        ]

    def _copy(
        self, key: str, begins: Sequence[Callable[[], Begin]], refused: Sequence[str]
    ) -> Iterator[tuple[str, str]]:
        session = self.sessions.get(key)
        amounts, done = session.amounts, []
        left_out = f" Left out: {'; '.join(refused)}" if refused else ""
        if not begins:
            yield views.status(f"No photo to edit.{left_out}", "bad"), ""
            return
        words = self.words(amounts) or "no change yet: move a slider under Edit first"
        yield views.status(f"Computing photo 1 of {len(begins)} …{left_out}", "busy"), ""
        for number, begin in enumerate(begins, 1):
            photo = begin()
            done.append((photo.name, photo.image, self.studio.edited(photo, amounts)))
            if number < len(begins):
                text = f"Computing photo {number + 1} of {len(begins)} …{left_out}"
                yield views.status(text, "busy"), views.copies(self.studio, done, False)
        mood = "bad" if refused else "done"
        text = f"Done: {len(done)} photos with {words}.{left_out}"
        yield views.status(text, mood), views.copies(self.studio, done, True)

    def _open(self, key: str, find: Callable[[], Photo]) -> Iterator[View]:
        """The photo at once, then what the model makes of it; a refusal leaves all as it was."""
        session = self.sessions.get(key)
        try:
            image, name, make = find()
        except (ValueError, OSError) as error:
            yield views.status(str(error), "bad"), *self._still(session)
            return
        text = f"Computing: the model reads {name} …"
        yield views.status(text, "busy"), views.waiting(self.studio, image, name), ""
        session.photo = make()
        yield self._full(session, session.amounts)

    def _second(
        self, key: str, find: Callable[[], Photo], chosen: Sequence[int]
    ) -> Iterator[Mixture]:
        try:
            make = find()[2]
        except ValueError as error:
            yield views.status(str(error), "bad"), ""
            return
        yield views.status("Computing: reading the second photo …", "busy"), ""
        self.sessions.get(key).other = make()
        yield from self.mix(key, chosen)

    def _still(self, session: Session) -> tuple[str, str]:
        """Stage and downloads as they are."""
        if session.photo is None or session.picture is None:
            return "", ""
        words = self.words(session.amounts)
        return (
            views.stage(self.studio, session.photo, session.picture, "done", words),
            views.photo_links(session.photo, session.picture, words),
        )


def one_of(index: object, count: int) -> int:
    """A place among `count` pictures. Raises ValueError for anything else."""
    if type(index) is int and 0 <= index < count:
        return index
    raise ValueError(f"{index!r:.40} is none of the {count} pictures; choose one of them.")
