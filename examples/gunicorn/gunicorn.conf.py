"""gunicorn -c examples/gunicorn/gunicorn.conf.py"""

from pathlib import Path

wsgi_app = "app:app"
pythonpath = str(Path(__file__).parent)
workers = 4
bind = "127.0.0.1:8000"
