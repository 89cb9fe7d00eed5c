"""The few HTML pages a person sees while logging in."""

from html import escape

from starlette.responses import HTMLResponse


def page(title: str, body: str, status: int = 200) -> HTMLResponse:
    """A bare page; `body` is HTML whose inserted values the caller has escaped."""
    return HTMLResponse(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        f"<h1>{escape(title)}</h1>{body}</html>",
        status_code=status,
        # A login page carries one-time tokens, which must not linger or leak through a referrer.
        headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"},
    )


def refusal(message: str, status: int) -> HTMLResponse:
    return page("Login refused", f"<p>{escape(message)}</p>", status)


def hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'


def text_field(label: str, name: str, kind: str = "text") -> str:
    return f'<p><label>{escape(label)} <input type="{kind}" name="{escape(name)}"></label></p>'
