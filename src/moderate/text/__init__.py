"""From submitted text to safe HTML: fields, characters, layout, links and the sanitizer."""
