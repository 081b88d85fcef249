"""Personal data: what is found in text, what takes its place, and how the same stretch of a recording is silenced.

presidio-analyzer is not used: it needs spaCy (120 MB, four seconds to import) to run patterns that are no more than
those here, and knows neither digits that are said nor values that are split. phonenumbers, which it uses, is.

Plain functions over text, rows and bytes. Which days are redacted and where copies lie is `tables`' business.
"""

from media_pipeline.privacy.detection import detect
from media_pipeline.privacy.findings import CREDIT_CARD, EMAIL_ADDRESS, PHONE_NUMBER, TYPES, US_SSN, Finding

__all__ = ["CREDIT_CARD", "EMAIL_ADDRESS", "PHONE_NUMBER", "TYPES", "US_SSN", "Finding", "detect"]
