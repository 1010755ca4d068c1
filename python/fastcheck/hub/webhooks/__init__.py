"""Events for other programs, sent as Standard Webhooks (https://www.standardwebhooks.com).

::

    kinds      which events there are, and their JSON                                pure
    sign       secrets, their rotation, the headers with the signature               pure
    retry      what an answer means: delivered, gone, again and when, or given up    pure
    delivery   takes what is due, sends it, writes down what came of it              all I/O is an argument
    http       the sender over httpx                                                 sockets

A delivery happens at least once: receivers tell repeats by the header `webhook-id`, which is the event's id
and stays the same however often it is sent. The order is that of the events as long as nothing fails.

Needs the extra `webhooks`."""
