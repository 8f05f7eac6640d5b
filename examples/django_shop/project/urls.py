"""Which address leads where."""

from django.urls import include, path
from shop import views
from shop.webhooks import inbox

from ringback.adapters.django import urls

urlpatterns = [
    path("hooks/", include(urls(inbox, asynchronous=True))),
    path("orders", views.list_orders),
]
