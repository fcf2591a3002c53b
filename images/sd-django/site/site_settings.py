"""The settings of a site of one page."""

from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent
# Made at the container's first start.
SECRET_KEY = (BASE_DIR / "secret-key").read_text()
# The name by which a visitor comes is spin-docker's to choose.
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "site_urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [BASE_DIR]}]
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.clickjacking.XFrameOptionsMiddleware"]
USE_TZ = True
