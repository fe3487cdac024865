"""Unary operations: one piece of data, one answer."""

from __future__ import annotations

from rpe.chaos.subject import SubjectOperation
from rpe.chaos.workload.ends import End, answered, raised
from rpe.chaos.workload.load import Load
from rpe.chaos.workload.plan import WorkloadPlan
from rpe.data import RuntimeData

__all__ = ["unary"]


async def unary(
    load: Load, workload: WorkloadPlan, operation: SubjectOperation, pieces: list[RuntimeData]
) -> End:
    """Execute one operation and say how it ended."""
    try:
        return answered(await load.subject.execute(operation))
    except Exception as error:
        return raised(error, load.names)
