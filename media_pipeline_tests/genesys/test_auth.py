"""Tokens: one for all threads, renewed early, once when refused."""

import threading

from media_pipeline.genesys.auth import Token, TokenCache


def cache_with_clock(lifetime: float):
    now = [0.0]
    issued = []

    def fetch() -> Token:
        issued.append(f"token-{len(issued) + 1}")
        return Token(issued[-1], lifetime)

    return TokenCache(fetch, lambda: now[0]), now, issued


def test_a_token_is_renewed_sixty_seconds_or_a_tenth_of_its_life_early():
    for lifetime, renewed_at in ((86_400, 86_340), (300, 270), (10, 9)):
        cache, now, issued = cache_with_clock(lifetime)
        assert cache.current() == "token-1"
        now[0] = renewed_at - 0.5
        assert cache.current() == "token-1"
        now[0] = renewed_at
        assert cache.current() == "token-2"
        assert len(issued) == 2


def test_threads_refused_with_the_same_token_share_one_new_one():
    cache, _, issued = cache_with_clock(3600)
    stale = cache.current()
    threads = [threading.Thread(target=cache.renew, args=(stale,)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert issued == ["token-1", "token-2"]


def test_a_new_token_that_was_never_accepted_is_not_worth_renewing():
    cache, _, _ = cache_with_clock(3600)
    token = cache.current()
    assert not cache.worth_renewing(token)
    cache.proved(token)
    assert cache.worth_renewing(token)
    assert cache.worth_renewing("an older one")


def test_a_token_does_not_show_itself():
    assert "secret" not in repr(Token("secret", 1))
