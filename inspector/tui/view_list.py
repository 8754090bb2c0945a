"""The views of the app, in the order they have in their tabs."""

from __future__ import annotations

from inspector.tui.views.accuracy import AccuracyView
from inspector.tui.views.adapters.view import AdaptersView
from inspector.tui.views.against_base import AgainstBaseView
from inspector.tui.views.angles import AnglesView
from inspector.tui.views.base import View
from inspector.tui.views.basins import BasinsView
from inspector.tui.views.cka import CkaView
from inspector.tui.views.claims.view import ClaimsView
from inspector.tui.views.curves import CurvesView
from inspector.tui.views.layers.view import LayersView
from inspector.tui.views.map import MapView
from inspector.tui.views.merge.several import SumView
from inspector.tui.views.merge.view import MergeView
from inspector.tui.views.objectives import ObjectivesView
from inspector.tui.views.overview.view import OverviewView
from inspector.tui.views.pair.view import PairView
from inspector.tui.views.sensitivity import SensitivityView
from inspector.tui.views.size import SizeView
from inspector.tui.views.summary.view import SummaryView
from inspector.tui.views.trajectory.view import TrajectoryView

VIEWS: list[type[View]] = [
    OverviewView, AdaptersView, SizeView, SummaryView,
    MapView,
    LayersView, CurvesView, AgainstBaseView,
    PairView, AnglesView,
    MergeView, SumView,
    AccuracyView, BasinsView, CkaView,
    SensitivityView, ObjectivesView, TrajectoryView,
    ClaimsView,
]  # fmt: skip
