"""The native launcher: runs the whole of Boxoffice on one machine, without containers.

install      what the system must bring (RabbitMQ, nginx)
home         the state folder of a stack
ports        a block of ports that no other stack has
credentials  passwords and keys, made at the first start
programs     one program to run: argv, environment, user, signal that stops it
postgres, rabbitmq, nginx, stand_ins, services
what each process of the stack needs, and how to see that it is ready
stack        all processes, in the order in which they start
supervisor   the daemon that starts them, watches them and starts them again
control      what the command line and the supervisor say to each other
status       every address, credential and process id of a running stack
ground       a PostgreSQL or a RabbitMQ for tests
"""
