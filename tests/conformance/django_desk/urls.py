"""Pages that show who is signed in; the test appends the routes of docs/apps.md."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.urls import path, reverse
from oidc import strong_sign_in_required


def _known(request: HttpRequest) -> JsonResponse:
    user, session = request.user, request.session
    found = {"sub": user.username, "email": user.email, "name": user.get_full_name()}
    return JsonResponse({**found, "acr": session["acr"], "auth_time": session["auth_time"]})


def home(request: HttpRequest) -> HttpResponse:
    """Whether somebody is signed in, and the button for signing out."""
    field = f'<input type="hidden" name="csrfmiddlewaretoken" value="{get_token(request)}">'
    form = f'<form method="post" action="{reverse("oidc_logout")}">{field}<button>Sign out</button></form>'
    return HttpResponse(f'<p id="signed-in">{request.user.is_authenticated}</p>{form}')


urlpatterns = [
    path("", home),
    path("profile", login_required(_known)),
    path("payments", strong_sign_in_required(_known)),
]
