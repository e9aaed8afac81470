"""The tables. Each file holds what changes together; status columns are written by `triage.lifecycle` alone."""

from triage.models.answer import KeptAnswer
from triage.models.article import Article
from triage.models.audit import AuditEvent
from triage.models.certificate import Budget, Certificate, Registration
from triage.models.count import ArticleCount, ArticleWeek, CertificateCount, HourCount
from triage.models.customer import Customer, CustomerQuerySet, Membership, Mode, Role
from triage.models.decision import Decision, Prediction
from triage.models.delivery import Delivery, DeliveryKey
from triage.models.desk import SavedFilter
from triage.models.feed import ArticleFeed, FeedArticle
from triage.models.gap import Gap, GapMember
from triage.models.identity import Identity, RecoveryCode, SecondFactor
from triage.models.job import Job, WorkerBeat
from triage.models.link import OneTimeLink
from triage.models.outbound import EventEndpoint, MailChoice, Notification, Posting, RunbookOwner, Writeback
from triage.models.panel import Panel, UsedLaunch
from triage.models.person import Person, Token
from triage.models.refusal import Refusal
from triage.models.release import Release
from triage.models.restraint import Freeze, Limit, Window
from triage.models.review import Label, Review
from triage.models.run import Approval, Run, RunPiece
from triage.models.runbook import RunbookState, Target
from triage.models.source import Source, SourceMapping
from triage.models.standing import Standing
from triage.models.suspect import Suspect
from triage.models.ticket import Draw, Storm, Ticket
from triage.models.tuning import Comparison, Tuning

__all__ = [
    "Approval",
    "Article",
    "ArticleCount",
    "ArticleFeed",
    "ArticleWeek",
    "AuditEvent",
    "Budget",
    "Certificate",
    "CertificateCount",
    "Comparison",
    "Customer",
    "CustomerQuerySet",
    "Decision",
    "Delivery",
    "DeliveryKey",
    "Draw",
    "EventEndpoint",
    "FeedArticle",
    "Freeze",
    "Gap",
    "GapMember",
    "HourCount",
    "Identity",
    "Job",
    "KeptAnswer",
    "Label",
    "Limit",
    "MailChoice",
    "Membership",
    "Mode",
    "Notification",
    "OneTimeLink",
    "Panel",
    "Person",
    "Posting",
    "Prediction",
    "RecoveryCode",
    "Refusal",
    "Registration",
    "Release",
    "Review",
    "Role",
    "Run",
    "RunPiece",
    "RunbookOwner",
    "RunbookState",
    "SavedFilter",
    "SecondFactor",
    "Source",
    "SourceMapping",
    "Standing",
    "Storm",
    "Suspect",
    "Target",
    "Ticket",
    "Token",
    "Tuning",
    "UsedLaunch",
    "Window",
    "WorkerBeat",
    "Writeback",
]
