"""What two processes say to each other: names, records, requests and answers, JSON, the frames of the stream,
events. Each is checked where it is made and where it is read.

May import: base, ledger (words such as kinds of grants).
Boundaries: Says what may be said and how it looks as bytes; decides nothing. No socket, file or database."""
