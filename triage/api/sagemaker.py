"""SageMaker's real-time contract for each customer's model in force, so that BlazingText's clients work unchanged."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from classifier.estimator import Ranking
from classifier.sagemaker import formats
from classifier.sagemaker.formats import Asked, InvocationInvalid
from triage import serving
from triage.api import front, problems
from triage.api.access import allowed, customer_of, token_of
from triage.api.predictions import sealed_texts, turn
from triage.api.problems import Refused
from triage.lake.errors import LakeError
from triage.models import Customer
from triage.serving import NoModel, Serving

SCOPE = "predict"
MOST_TEXTS = 1_000


@csrf_exempt
@front.plain(kinds=(formats.JSON, formats.LINES))
def ping(request: HttpRequest, customer: str) -> HttpResponse:
    """200 where a model is in force and can be opened, else 503."""
    _model(_customer(request, customer, "GET"))
    return HttpResponse(b"", content_type="text/plain")


@csrf_exempt
@front.plain(kinds=(formats.JSON, formats.LINES))
def invocations(request: HttpRequest, customer: str) -> HttpResponse:
    """The labels of texts, as BlazingText answers them. A text under a blind check gets no labels."""
    owner = _customer(request, customer, "POST")
    try:
        asked = formats.parse(request.headers.get("Content-Type", ""), request.body)
    except InvocationInvalid as error:
        raise Refused(error.status, str(error)) from error
    if len(asked.texts) > MOST_TEXTS:
        raise Refused(413, f"At most {MOST_TEXTS} texts a request; send them in parts.")
    model = _model(owner)
    with turn():
        return HttpResponse(formats.render(asked, _rankings(model, owner, asked)), content_type=asked.content_type)


def _customer(request: HttpRequest, slug: str, method: str) -> Customer:
    if request.method != method and not (method == "GET" and request.method == "HEAD"):
        raise Refused(405, f"Only {method} here.", Allow=method)
    token = token_of(request)
    if token is None:
        raise Refused(401, problems.SEND_TOKEN, WWW_Authenticate=problems.BEARER)
    return customer_of(allowed(token, SCOPE), slug)


def _model(customer: Customer) -> Serving:
    try:
        model = serving.in_force(customer)
    except (NoModel, LakeError) as error:
        raise Refused(503, str(error), Retry_After="30") from error
    if model is None:
        raise Refused(503, "No model is in force for this customer.", Retry_After="60")
    return model


def _rankings(model: Serving, customer: Customer, asked: Asked) -> list[Ranking | None]:
    documents = asked.documents
    hidden = sealed_texts(customer, documents)
    rankings = model.classifier.rank(documents, k=asked.most)
    return [None if number in hidden else ranking for number, ranking in enumerate(rankings)]
