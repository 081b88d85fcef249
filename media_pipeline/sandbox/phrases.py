"""What callers and agents say: the phrase bank and how a call of each topic runs. Data only, no audio.

Every name, number and address is made up: test card numbers, 555-01xx phones, example.com, never-issued SSNs.
"""

from __future__ import annotations

import random
from typing import Literal, NamedTuple

Speaker = Literal["customer", "agent"]

SPEAKERS: tuple[Speaker, ...] = ("customer", "agent")


class Turn(NamedTuple):
    """One thing somebody says, in any of several wordings; optional ones are sometimes left out."""

    speaker: Speaker
    wordings: tuple[str, ...]
    optional: bool = False


def _agent(*wordings: str, optional: bool = False) -> Turn:
    return Turn("agent", wordings, optional)


def _customer(*wordings: str, optional: bool = False) -> Turn:
    return Turn("customer", wordings, optional)


OPENING = (
    _agent(
        "Good morning, thank you for calling. How can I help you?",
        "Hello, you are through to customer care. What can I do for you today?",
        "Thanks for holding. This is Sam, how may I help?",
    ),
)

IDENTIFICATION = (
    _agent(
        "Of course. May I have your name and phone number, please?",
        "I can help with that. Which number can we reach you on?",
        optional=True,
    ),
    _customer(
        "My name is Jane Example, and my phone number is 202-555-0147.",
        "This is John Sample. You can call me on 415-555-0132.",
        "It's Maria Test, and the number is +1 212 555 0199.",
        optional=True,
    ),
)

TOPICS: dict[str, tuple[Turn, ...]] = {
    "billing": (
        _customer("I was charged twice on my last invoice.", "My bill is much higher than last month."),
        _agent("Let me look at your account. Which card did you use?", "Which card was charged, please?"),
        _customer("The card number is 4111 1111 1111 1111.", "It was card 5500 0000 0000 0004, my usual one."),
        _agent("Thank you. I can see two payments on the same day.", "I see the second charge here.", optional=True),
        _customer("Yes, exactly. One of them must be wrong.", "That can't be right.", optional=True),
        _agent("I have cancelled the second payment. You will see it in three to five days."),
    ),
    "delivery": (
        _customer("My parcel was due on Monday and it is still not here.", "I am waiting for a delivery."),
        _agent("I'm sorry about that. Do you have the order number?", "What is your order number, please?"),
        _customer("It is order number 73 04 19.", "The order number is 88 21 50, from last week."),
        _agent("It is in our depot. The driver could not find the house.", optional=True),
        _customer("The address is 12 Sample Street, Springfield.", "I live at 221 Example Avenue.", optional=True),
        _agent("It will arrive tomorrow between nine and twelve.", "I have booked a new delivery for tomorrow."),
    ),
    "address": (
        _customer("We have moved, and I would like to change my address.", "I need to update my address."),
        _agent("Certainly. What is the new address?", "Happy to help. Where do you live now?"),
        _customer("48 Fictional Road, apartment 3, Riverton.", "It is now 9 Placeholder Lane, Lakeside."),
        _agent("And since when do you live there?", optional=True),
        _customer("Since the first of this month.", "From next Friday on.", optional=True),
        _agent("Your new address is saved. You will get a confirmation by e-mail."),
    ),
    "password": (
        _customer("I can't log in any more. It says my password is wrong.", "I am locked out of my account."),
        _agent("Let's reset it. What e-mail address do you use?", "Which e-mail address is on the account?"),
        _customer("It is jane.doe@example.com.", "The address is john.sample@example.org, all lower case."),
        _agent("And the last four digits of your social security number?", optional=True),
        _customer("My number is 000-12-3456, so it ends in 3456.", "It ends in 6789.", optional=True),
        _agent("I have sent you a link. It works for one hour.", "Please open the link in your mailbox."),
    ),
    "refund": (
        _customer("I sent the shoes back, but I have no refund yet.", "When will I get my money back?"),
        _agent("When did you send the parcel?", "Let me check the return. Do you have a receipt?"),
        _customer("Two weeks ago, on a Tuesday.", "Yes, the receipt says ninety four dollars."),
        _agent("Shall we pay it to the same card?", "Which account should we use?", optional=True),
        _customer("Yes, card 3782 822463 10005, please.", "To account 00012345678, please.", optional=True),
        _agent("The refund is on its way. It takes up to five working days.", "I have approved the refund now."),
    ),
    "appointment": (
        _customer("I would like to move my appointment.", "I can't come on Thursday. Is there another time?"),
        _agent("No problem. What is your date of birth, please?", "Sure. Which day suits you better?"),
        _customer("I was born on January 2nd, 1980.", "Next Wednesday in the afternoon would be good."),
        _agent("I have a quarter past ten or half past three.", optional=True),
        _customer("Half past three is perfect.", "The morning is better for me.", optional=True),
        _agent("Done. You are booked for next Wednesday.", "I have changed it, and you will get a reminder."),
    ),
}

CLOSING = (
    _customer("Great, that was quick. Thank you.", "Perfect, thanks for your help.", "Okay. Thank you very much."),
    _agent("Is there anything else I can do for you?", "Can I help with anything else?", optional=True),
    _customer("No, that was everything.", "No, that's all for today.", optional=True),
    _agent("Thank you for calling. Goodbye.", "You're welcome. Have a nice day.", "My pleasure. Bye bye."),
    _customer("Goodbye.", "Bye, have a good one.", optional=True),
)


def phrases(speaker: Speaker) -> list[str]:
    """Everything this side can say, once each, in a fixed order."""
    turns = [*OPENING, *IDENTIFICATION, *(turn for topic in TOPICS.values() for turn in topic), *CLOSING]
    return list(dict.fromkeys(text for turn in turns if turn.speaker == speaker for text in turn.wordings))


def conversation(topic: str, rng: random.Random) -> list[tuple[Speaker, str]]:
    """One call on a topic: greeting, problem, questions, resolution, goodbye. Question and answer stay together."""
    problem, *rest = TOPICS[topic]
    said: list[tuple[Speaker, str]] = []
    keep = True
    for turn in (*OPENING, problem, *IDENTIFICATION, *rest, *CLOSING):
        answers = turn.speaker == "customer" and turn.optional
        if not answers:
            keep = not turn.optional or rng.random() < 0.6
        if keep:
            said.append((turn.speaker, rng.choice(turn.wordings)))
    return said
