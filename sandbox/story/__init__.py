"""One booking from seat to confirmed to refunded, played against a running stack and read back from it.

shop       what a buyer, a browser and a member of staff do: every request of the story, the bench and the tests from outside
eventlog   what the services say has happened
play       the story's steps, in order
timeline   how they are shown
"""
