"""Start files of the desktop suite, made by code: small documents as XML in zip files, pictures and a PDF by Pillow, text."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from PIL import Image, ImageDraw, ImageFont

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_MIME = "application/vnd.openxmlformats-officedocument"


def _zipped(parts: Mapping[str, str]) -> bytes:
    """A zip file; the first part is stored as it is, as ODF wants it of `mimetype`."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for index, (name, text) in enumerate(parts.items()):
            archive.writestr(name, text, zipfile.ZIP_DEFLATED if index else zipfile.ZIP_STORED)
    return out.getvalue()


def _office(main: str, kind: str, text: str, further: Mapping[str, str] | None = None, types: str = "") -> bytes:
    """An ECMA-376 package around one main part."""
    return _zipped({
        "[Content_Types].xml": f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/><Override PartName="/{main}" ContentType="{_MIME}.{kind}.main+xml"/>'
        f"{types}</Types>",
        "_rels/.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="{main}"/></Relationships>',
        main: _XML + text,
        **(further or {}),
    })  # fmt: skip


def workbook(rows: Sequence[Sequence[str | float]], name: str = "Sheet1") -> bytes:
    """An .xlsx file of one sheet."""

    def cell(row: int, column: int, value: str | float) -> str:
        place = f"{chr(65 + column)}{row + 1}"
        if isinstance(value, str):
            return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
        return f'<c r="{place}"><v>{value:g}</v></c>'

    data = "".join(f'<row r="{r + 1}">{"".join(cell(r, c, v) for c, v in enumerate(row))}</row>' for r, row in enumerate(rows))
    book = f'<workbook xmlns="{_SHEET}" xmlns:r="{_OFFICE}"><sheets><sheet name="{name}" sheetId="1" r:id="rId1"/></sheets></workbook>'
    return _office("xl/workbook.xml", "spreadsheetml.sheet", book, {
        "xl/_rels/workbook.xml.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'{_XML}<worksheet xmlns="{_SHEET}"><sheetData>{data}</sheetData></worksheet>',
    }, f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_MIME}.spreadsheetml.worksheet+xml"/>')  # fmt: skip


def letter(paragraphs: Sequence[str]) -> bytes:
    """A .docx file."""
    body = "".join(f"<w:p><w:r><w:t>{escape(text)}</w:t></w:r></w:p>" for text in paragraphs)
    return _office(
        "word/document.xml", "wordprocessingml.document", f'<w:document xmlns:w="{_WORD}"><w:body>{body}<w:sectPr/></w:body></w:document>'
    )


def talk(slides: Sequence[str]) -> bytes:
    """An .odp file with one text on each slide."""
    ns = "urn:oasis:names:tc:opendocument:xmlns"
    kind = "application/vnd.oasis.opendocument.presentation"
    pages = "".join(
        f'<draw:page draw:name="page{n}" draw:master-page-name="Default"><draw:frame draw:layer="layout" svg:width="20cm" svg:height="3cm" '
        f'svg:x="3cm" svg:y="4cm"><draw:text-box><text:p>{escape(text)}</text:p></draw:text-box></draw:frame></draw:page>'
        for n, text in enumerate(slides, 1)
    )
    styles = (
        f'<office:document-styles xmlns:office="{ns}:office:1.0" xmlns:style="{ns}:style:1.0" xmlns:fo="{ns}:xsl-fo-compatible:1.0" '
        'office:version="1.3"><office:automatic-styles><style:page-layout style:name="PM1"><style:page-layout-properties '
        'fo:page-width="28cm" fo:page-height="15.75cm" style:print-orientation="landscape"/></style:page-layout></office:automatic-styles>'
        '<office:master-styles><style:master-page style:name="Default" style:page-layout-name="PM1"/></office:master-styles>'
        "</office:document-styles>"
    )
    content = (
        f'<office:document-content xmlns:office="{ns}:office:1.0" xmlns:draw="{ns}:drawing:1.0" xmlns:text="{ns}:text:1.0" '
        f'xmlns:svg="{ns}:svg-compatible:1.0" office:version="1.3"><office:body><office:presentation>{pages}</office:presentation>'
        "</office:body></office:document-content>"
    )
    entries = (("/", kind), ("content.xml", "text/xml"), ("styles.xml", "text/xml"))
    files = "".join(f'<manifest:file-entry manifest:full-path="{path}" manifest:media-type="{media}"/>' for path, media in entries)
    return _zipped({
        "mimetype": kind, "content.xml": _XML + content, "styles.xml": _XML + styles,
        "META-INF/manifest.xml": f'{_XML}<manifest:manifest xmlns:manifest="{ns}:manifest:1.0" manifest:version="1.3">'
        f'{files}</manifest:manifest>',
    })  # fmt: skip


def picture(size: tuple[int, int] = (240, 160)) -> Image.Image:
    """A picture that is neither grey nor its own mirror."""
    image = Image.new("RGB", size, (235, 240, 250))
    draw = ImageDraw.Draw(image)
    draw.rectangle((10, 20, 100, 140), fill=(200, 40, 40))
    draw.ellipse((130, 30, 220, 90), fill=(30, 120, 60))
    draw.text((130, 110), "left to right", fill=(20, 20, 120))
    return image


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def booklet(pages: Sequence[str]) -> bytes:
    """A PDF, A5 at 100 dots per inch, with a few large lines on each page."""
    drawn = []
    for text in pages:
        page = Image.new("RGB", (583, 827), "white")
        ImageDraw.Draw(page).multiline_text((50, 80), text, fill="black", font=ImageFont.load_default(28), spacing=16)
        drawn.append(page)
    out = io.BytesIO()
    drawn[0].save(out, "PDF", save_all=True, append_images=drawn[1:], resolution=100)
    return out.getvalue()


def _lines(*lines: str) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def files() -> dict[str, bytes]:
    """Every start file by its name."""
    budget: list[list[str | float]] = [["Item", "Cost"], ["Rent", 850.0], ["Food", 320.5], ["Travel", 129.5], ["Phone", 20.0], ["Total"]]
    return {
        "draft.txt": _lines("First thoughts on the garden."),
        "report.csv": _lines("month,sales", "January,120", "February,95", "March,143"),
        "todo.txt": _lines("Call the bank", "Water the plants"),
        "meeting.txt": _lines("The meeting is on Monday.", "Bring the Monday list.", "After Monday the room is taken."),
        "cleanup.sh": _lines("#!/bin/sh", "echo cleaned"),
        "budget.xlsx": workbook(budget),
        "stock.xlsx": workbook([["Fruit", "Boxes"], ["Apples", 12.0], ["Pears", 7.0], ["Plums", 31.0]], "Data"),
        "invitation.docx": letter(["Summer party", "We meet at seven in the garden."]),
        "notice.docx": letter(["House rules", "Please close the windows in the evening."]),
        "talk.odp": talk(["Old title", "Thank you"]),
        "photo.png": _png(picture()),
        "manual.pdf": booklet(["Coffee machine", "Cleaning\nRinse the tank\nevery week.", "Service\nThe door code is\n7 4 1 9"]),
        "registrymodifications.xcu": _QUIET.encode(),
    }


def write(folder: Path) -> None:
    for name, data in files().items():
        (folder / name).write_bytes(data)


_QUIET = (
    f'{_XML}<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    '<item oor:path="/org.openoffice.Office.Common/Misc"><prop oor:name="ShowTipOfTheDay" oor:op="fuse"><value>false</value></prop></item>'
    '<item oor:path="/org.openoffice.Office.Common/Misc"><prop oor:name="FirstRun" oor:op="fuse"><value>false</value></prop></item>'
    "</oor:items>"
)
"""LibreOffice's settings without the tip of the day, which stands before the first document of a new home folder."""
