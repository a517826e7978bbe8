"""django-oauth-toolkit as a test upstream: a real login form, a real consent page, tokens in SQLite, rotating
refresh tokens with reuse protection, and a trailing slash on every endpoint. State is a throw-away folder.
Options, ready line and control paths are those of the other providers: see README.md."""

import os
import sys
import tempfile

from front import Front, common_options, extends_by_a_segment, listen, quit_with_parent, serve

MAIN_CLIENT = ("test-client", "test-client-secret-0123456789abcdef0123456789", "client_secret_basic")
# Characters that must be form-encoded before they are joined for HTTP Basic (RFC 6749 section 2.3.1).
ODD_CLIENT = ("test:client+odd%20id", "se:cr+et%/=& ~0123456789abcdef0123456789", "client_secret_basic")
PUBLIC_CLIENT = ("public-client", None, "none")
CLIENTS = (MAIN_CLIENT, ODD_CLIENT, PUBLIC_CLIENT)
TOKEN_PATH = "/o/token/"


def read_options():
    parser = common_options(__doc__)
    parser.add_argument("--access-ttl", type=int, default=60)
    parser.add_argument("--refresh-ttl", type=int, default=86400)
    parser.add_argument("--grace", type=int, default=0, help="seconds for which a used refresh token still works")
    parser.add_argument("--no-rotate", action="store_true")
    parser.add_argument("--no-reuse-protection", action="store_true")
    parser.add_argument("--no-require-pkce", action="store_true")
    return parser.parse_args()


def configure(options, origin, state_dir):
    """Everything that Django wants to know before any of its models is imported."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from django.conf import settings

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": os.path.join(state_dir, "provider.sqlite3"),
                "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "oauth2_provider",
        ],
        LOGGING={
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"stderr": {"class": "logging.StreamHandler"}},
            "root": {"handlers": ["stderr"], "level": "ERROR"},
        },
        LOGIN_URL="/accounts/login/",
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            *([] if options.form_login else ["provider_pages.auto_login"]),
        ],
        # The tables come straight from the models: playing 22 migrations takes seconds.
        MIGRATION_MODULES={"auth": None, "contenttypes": None, "sessions": None, "oauth2_provider": None},
        OAUTH2_PROVIDER={
            "ACCESS_TOKEN_EXPIRE_SECONDS": options.access_ttl,
            "ALLOWED_REDIRECT_URI_SCHEMES": ["http", "https"],
            "DEFAULT_SCOPES": ["read"],
            "OIDC_ENABLED": True,
            "OIDC_ISS_ENDPOINT": origin + "/o",
            "OIDC_RSA_PRIVATE_KEY": pem,
            "PKCE_REQUIRED": not options.no_require_pkce,
            "REFRESH_TOKEN_EXPIRE_SECONDS": options.refresh_ttl,
            "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": options.grace,
            "REFRESH_TOKEN_REUSE_PROTECTION": not options.no_reuse_protection,
            "ROTATE_REFRESH_TOKEN": not options.no_rotate,
            "SCOPES": {"openid": "Know who you are", "read": "Read your data", "write": "Change your data"},
        },
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        ROOT_URLCONF="provider_pages",
        SECRET_KEY="a-test-server-has-no-secrets",
        STATIC_URL="/static/",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
            }
        ],
        USE_TZ=True,
    )
    import django

    django.setup()


def define_pages(options):
    """The module `provider_pages`, which the settings name: it can exist only once Django is configured."""
    import types

    from django.contrib.auth import get_user_model, login
    from django.contrib.auth.views import LoginView
    from django.http import HttpResponse, JsonResponse
    from django.template import engines
    from django.urls import include, path
    from django.views.static import serve as serve_file
    import oauth2_provider
    from oauth2_provider.oauth2_backends import get_oauthlib_core

    class Login(LoginView):
        page = (
            '<!doctype html><html lang="en"><title>Log in</title><link rel="icon" href="data:,"><h1>Log in</h1>'
            '<form method="post">{% csrf_token %}{{ form.as_p }}'
            '<input type="hidden" name="next" value="{{ next }}"><button>Log in</button></form>'
        )

        def render_to_response(self, context, **_):
            html = engines["django"].from_string(self.page).render(context, self.request)
            return HttpResponse(html, status=401 if context["form"].errors else 200)

    def me(request):
        # The toolkit's own `protected_resource` answers 403 to a dead token; an API that keeps to RFC 6750 says 401.
        valid, checked = get_oauthlib_core().verify_request(request, scopes=["read"])
        if not valid:
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            return JsonResponse({"error": "invalid_token"}, status=401, headers=challenge)
        return JsonResponse({"sub": checked.user.username, "scope": checked.access_token.scope})

    def auto_login(get_response):
        def middleware(request):
            if request.path.startswith("/o/authorize") and not request.user.is_authenticated:
                login(request, get_user_model().objects.get(username=options.login))
            return get_response(request)

        return middleware

    pages = types.ModuleType("provider_pages")
    pages.auto_login = auto_login
    pages.urlpatterns = [
        path("accounts/login/", Login.as_view()),
        path("api/me", me),
        path("favicon.ico", lambda _: HttpResponse(status=204)),
        path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
        path(
            "static/<path:path>",
            serve_file,
            {"document_root": os.path.join(os.path.dirname(oauth2_provider.__file__), "static")},
        ),
    ]
    sys.modules["provider_pages"] = pages


def fill_database(options):
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from oauth2_provider.models import get_application_model

    call_command("migrate", verbosity=0, run_syncdb=True)
    for name in ("alice", "bob"):
        get_user_model().objects.create_user(name, f"{name}@example.test", name)
    application = get_application_model()
    for client_id, secret, _ in CLIENTS:
        application.objects.create(
            client_id=client_id,
            client_secret=secret or "",
            name="Switchboard test",
            client_type=application.CLIENT_CONFIDENTIAL if secret else application.CLIENT_PUBLIC,
            authorization_grant_type=application.GRANT_AUTHORIZATION_CODE,
            redirect_uris=" ".join(options.redirect_uri),
            skip_authorization=not options.form_login,
            algorithm=application.RS256_ALGORITHM,
        )
    allow_prefixes(application, options.redirect_uri_prefix)


def allow_prefixes(application, prefixes):
    """Admits, besides the registered redirect URIs, those that extend a prefix by one path segment."""
    registered = application.redirect_uri_allowed

    def redirect_uri_allowed(self, uri):
        return extends_by_a_segment(uri, prefixes) or registered(self, uri)

    application.redirect_uri_allowed = redirect_uri_allowed


def redirect_uris(added):
    """Registers redirect URIs with every client; answers all of them."""
    from django.db import connection
    from oauth2_provider.models import get_application_model

    applications = get_application_model().objects
    known = applications.first().redirect_uris.split()
    if added:
        known += [uri for uri in added if uri not in known]
        applications.update(redirect_uris=" ".join(known))
    connection.close()
    return known


def ready_line(options, origin):
    clients = [
        {"client_id": c, "client_secret": s, "token_endpoint_auth_method": m} if s else
        {"client_id": c, "token_endpoint_auth_method": m}
        for c, s, m in CLIENTS
    ]
    return {
        "name": "django-oauth-toolkit",
        "issuer": origin + "/o",
        "authorization_endpoint": origin + "/o/authorize/",
        "token_endpoint": origin + TOKEN_PATH,
        "revocation_endpoint": origin + "/o/revoke_token/",
        "introspection_endpoint": origin + "/o/introspect/",
        "userinfo_endpoint": origin + "/o/userinfo/",
        "resource": origin + "/api/me",
        **clients[0],
        "clients": clients,
        "scope": "openid read write",
        "username": options.login,
        "password": options.login,
    }


def main():
    options = read_options()
    quit_with_parent()
    listener, origin = listen(options)
    with tempfile.TemporaryDirectory(prefix="django-provider-") as state_dir:
        configure(options, origin, state_dir)
        define_pages(options)
        fill_database(options)

        from django.core.wsgi import get_wsgi_application

        front = Front(get_wsgi_application(), TOKEN_PATH, redirect_uris)
        serve(listener, front, ready_line(options, origin))


if __name__ == "__main__":
    main()
