from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rpe.policy.groups import GONE, Groups

GROUPS = 5


class Thing:
    group = GONE
    index = GONE


class GroupsMachine(RuleBasedStateMachine):
    """The list in groups against a plain dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: Groups[Thing] = Groups(GROUPS)
        self.expected: dict[Thing, int] = {}

    @rule(group=st.integers(0, GROUPS - 1))
    def add(self, group: int) -> None:
        thing = Thing()
        self.groups.add(thing, group)
        self.expected[thing] = group

    @rule(number=st.integers(0, 1000), group=st.integers(0, GROUPS - 1))
    def move(self, number: int, group: int) -> None:
        if self.expected:
            thing = list(self.expected)[number % len(self.expected)]
            self.groups.move(thing, group)
            self.expected[thing] = group

    @rule(number=st.integers(0, 1000))
    def discard(self, number: int) -> None:
        if self.expected:
            thing = list(self.expected)[number % len(self.expected)]
            self.groups.discard(thing)
            del self.expected[thing]
            assert (thing.group, thing.index) == (GONE, GONE)

    @invariant()
    def each_group_holds_its_own(self) -> None:
        order, ends = self.groups.order, self.groups.ends
        assert len(self.groups) == len(order) == len(self.expected)
        assert [thing.index for thing in order] == list(range(len(order)))
        start = 0
        for group, end in enumerate(ends):
            members = order[start:end]
            assert set(members) == {thing for thing, at in self.expected.items() if at == group}
            assert all(thing.group == group for thing in members)
            start = end
        assert start == len(order)


GroupsMachine.TestCase.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
TestGroups = GroupsMachine.TestCase
