"""Personal data: what is found in text, what takes its place, and how the same stretch of a recording is silenced.

Plain functions over text, rows and bytes. Which days are redacted and where copies lie is `tables`' business.
"""

from media_pipeline.privacy.detection import detect
from media_pipeline.privacy.findings import CREDIT_CARD, EMAIL_ADDRESS, PHONE_NUMBER, TYPES, US_SSN, Finding

__all__ = ["CREDIT_CARD", "EMAIL_ADDRESS", "PHONE_NUMBER", "TYPES", "US_SSN", "Finding", "detect"]
