"""What spin-docker is measured against: the same answers, by the means of 2014.

Flask-RESTful and Redis, as the program of 2014 had: a container is a hash `containers:ID` of eight fields, and
`ips:ADDRESS` says whose address that is. Only what is measured: list, show, check-in. Served by gunicorn.
"""

import functools
import os

import flask
import flask_restful
import redis

app = flask.Flask(__name__)
api = flask_restful.Api(app)
store = redis.Redis(unix_socket_path=os.environ["PEER_REDIS"], decode_responses=True)


def authenticated(view):
    @functools.wraps(view)
    def guarded(*args, **kwargs):
        given = flask.request.authorization
        if not given or (given.username, given.password) != ("admin", "spindocker"):
            return {"message": "Authenticate."}, 401, {"WWW-Authenticate": 'Basic realm="Login Required"'}
        return view(*args, **kwargs)

    return guarded


class Containers(flask_restful.Resource):
    method_decorators = [authenticated]

    def get(self):
        return [store.hgetall(key) for key in store.keys("containers:*")]


class Container(flask_restful.Resource):
    method_decorators = [authenticated]

    def get(self, container_id):
        found = store.hgetall(f"containers:{container_id}")
        if not found:
            flask_restful.abort(404, message=f"Container {container_id} doesn't exist")
        return found


class CheckIn(flask_restful.Resource):
    def post(self):
        container_id = store.get(f"ips:{flask.request.remote_addr}")
        if container_id:
            store.hset(f"containers:{container_id}", "active", flask.request.form["active-connections"])
        return ""


api.add_resource(Containers, "/v1/containers")
api.add_resource(Container, "/v1/containers/<string:container_id>")
api.add_resource(CheckIn, "/v1/check-in")
