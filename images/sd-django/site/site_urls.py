"""The one page."""

import socket

import django
from django.shortcuts import render
from django.urls import path


def page(request):
    return render(request, "page.html", {"host": socket.gethostname(), "version": django.get_version()})


urlpatterns = [path("", page)]
