"""The page at `/docs`: Swagger UI with all of its scripts and styles, so it loads nothing from another host."""

from importlib import resources

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>queuecast: the HTTP API</title>
<style>{style}</style>
</head>
<body>
<div id="swagger-ui"></div>
<script>{script}</script>
<script>SwaggerUIBundle({{url: "openapi.json", dom_id: "#swagger-ui"}})</script>
</body>
</html>
"""


def docs_page() -> str:
    """HTML of 2 MB, read from the package's files each time: it is rarely asked for, so nothing is kept in memory."""
    files = resources.files("flask_swagger_ui") / "dist"
    return _PAGE.format(
        style=(files / "swagger-ui.css").read_text("utf-8"), script=(files / "swagger-ui-bundle.js").read_text("utf-8")
    )
