<?php
/**
 * Plugin Name: Fengmian cover
 * Description: Tells Fengmian which posts were published or rewritten, and names our covers to those who share a post.
 * Version: 1.0.0
 * Requires at least: 6.0
 * Requires PHP: 7.4
 * License: Apache-2.0
 *
 * Goes into wp-content/mu-plugins/. Needs two constants in wp-config.php, or environment variables of the same names:
 *   FENGMIAN_WEBHOOK_URL     where messages go, https://fengmian.example.org/...
 *   FENGMIAN_WEBHOOK_SECRET  "whsec_" and base64, the same as on the other side
 * Without them nothing is sent. Messages are signed as https://www.standardwebhooks.com says, and carry ids only: the
 * other side reads the post itself.
 *
 * @package Fengmian
 */

namespace Fengmian;

defined( 'ABSPATH' ) || exit;

const TIMEOUT_S = 3;
const PREFIX    = 'fengmian-'; // File names of our pictures begin with this.
const FIGURE    = 'fengmian-cover'; // Class of the figure that we may put at the top of a post.

/** A setting from wp-config.php or the environment; '' if there is none. */
function setting( string $name ): string {
	return (string) ( defined( $name ) ? constant( $name ) : getenv( $name ) );
}

// ---- Messages -------------------------------------------------------------------------------------------------------

// The last hook of a save: the featured image and the terms are set by now, which they are not in transition_post_status.
add_action(
	'wp_after_insert_post',
	function ( $id, $post, $update, $before ) {
		$event = event_of( $post, $before );
		if ( '' !== $event ) {
			queue( (int) $id, $event );
		}
	},
	10,
	4
);

/**
 * What has happened to a post, '' for nothing that matters to its cover.
 *
 * A featured image changes neither title nor content, and our own figure does not count, so our own writing never comes
 * back to us. Revisions and autosaves are posts of another type.
 */
function event_of( \WP_Post $post, ?\WP_Post $before ): string {
	$types = (array) apply_filters( 'fengmian_post_types', array( 'post' ) );
	if ( ! in_array( $post->post_type, $types, true ) || 'publish' !== $post->post_status ) {
		return '';
	}
	if ( ! $before || 'publish' !== $before->post_status ) {
		return 'post.published';
	}
	return words_of( $post ) === words_of( $before ) ? '' : 'post.updated';
}

/** Title and content without our figure. */
function words_of( \WP_Post $post ): array {
	$bare   = '<figure class="[^"\n]*\b' . FIGURE . '\b[^"\n]*">(?:(?!</figure).)*+</figure>';
	$figure = "~(?:<!-- wp:image [^\n]*?-->\s*$bare\s*<!-- /wp:image -->|$bare)\s*~s";
	$text   = preg_replace( $figure, '', $post->post_content, 1 );
	return array( $post->post_title, trim( null === $text ? $post->post_content : $text ) );
}

/** Remember a message until the page is done; one post saved twice in a request is one message. */
function queue( int $id, string $event ): void {
	static $waiting = array();
	if ( '' === setting( 'FENGMIAN_WEBHOOK_URL' ) ) {
		return;
	}
	if ( ! $waiting ) {
		add_action(
			'shutdown',
			function () use ( &$waiting ) {
				let_the_editor_go();
				foreach ( $waiting as $post => $name ) {
					send( $post, $name );
				}
				$waiting = array();
			},
			100
		);
	}
	if ( 'post.published' !== ( $waiting[ $id ] ?? '' ) ) {
		$waiting[ $id ] = $event;
	}
}

/** End the answer to the browser, where the server can: what follows keeps nobody waiting. */
function let_the_editor_go(): void {
	foreach ( array( 'fastcgi_finish_request', 'litespeed_finish_request' ) as $finish ) {
		if ( function_exists( $finish ) ) {
			$finish();
			return;
		}
	}
}

/** Send one signed message. A failure is a line in the log and nothing more: the site is also asked for what has changed. */
function send( int $id, string $event ): void {
	$key = signing_key( setting( 'FENGMIAN_WEBHOOK_SECRET' ) );
	if ( null === $key ) {
		log_line( 'FENGMIAN_WEBHOOK_SECRET must be "whsec_" and base64 of at least 24 bytes; nothing is sent' );
		return;
	}
	$post = get_post( $id );
	if ( ! $post ) {
		return;
	}
	$body    = wp_json_encode(
		array(
			'event'        => $event,
			'site'         => home_url( '/' ),
			'post'         => $id,
			'modified_gmt' => str_replace( ' ', 'T', $post->post_modified_gmt ) . 'Z',
		),
		JSON_UNESCAPED_SLASHES
	);
	$message = 'msg_' . wp_generate_uuid4();
	$time    = (string) time();
	$answer  = wp_remote_post(
		setting( 'FENGMIAN_WEBHOOK_URL' ),
		array(
			'timeout'     => TIMEOUT_S,
			'redirection' => 0,
			'body'        => $body,
			'headers'     => array(
				'content-type'      => 'application/json',
				'webhook-id'        => $message,
				'webhook-timestamp' => $time,
				'webhook-signature' => 'v1,' . base64_encode( hash_hmac( 'sha256', "$message.$time.$body", $key, true ) ),
			),
		)
	);
	$status = is_wp_error( $answer ) ? $answer->get_error_message() : wp_remote_retrieve_response_code( $answer );
	if ( ! is_int( $status ) || $status >= 300 ) {
		log_line( "post $id: the message was not taken: $status" );
	}
}

/** The bytes of a secret, null if it is none. */
function signing_key( string $secret ): ?string {
	if ( 0 !== strpos( $secret, 'whsec_' ) ) {
		return null;
	}
	$key = base64_decode( substr( $secret, 6 ), true );
	return false !== $key && strlen( $key ) >= 24 ? $key : null;
}

function log_line( string $line ): void {
	error_log( "fengmian-cover: $line" ); // phpcs:ignore WordPress.PHP.DevelopmentFunctions
}

// ---- Open Graph -----------------------------------------------------------------------------------------------------

add_action( 'wp_head', __NAMESPACE__ . '\\print_open_graph', 5 );

/** Name the cover to those who share the post, unless the picture is not ours or an SEO plugin does so. */
function print_open_graph(): void {
	if ( ! is_singular() || ! apply_filters( 'fengmian_print_open_graph', ! has_seo_plugin() ) ) {
		return;
	}
	$picture = (int) get_post_thumbnail_id();
	$image   = $picture && is_ours( $picture ) ? wp_get_attachment_image_src( $picture, 'full' ) : false;
	if ( ! $image ) {
		return;
	}
	$tags = array(
		'og:image'        => esc_url( $image[0] ),
		'og:image:type'   => esc_attr( (string) get_post_mime_type( $picture ) ),
		'og:image:width'  => (int) $image[1],
		'og:image:height' => (int) $image[2],
		'og:image:alt'    => esc_attr( (string) get_post_meta( $picture, '_wp_attachment_image_alt', true ) ),
	);
	foreach ( array_filter( $tags ) as $property => $content ) {
		printf( "<meta property=\"%s\" content=\"%s\">\n", $property, $content ); // phpcs:ignore WordPress.Security.EscapeOutput
	}
	echo '<meta name="twitter:card" content="summary_large_image">' . "\n";
}

/** Whether a picture of the library was painted by Fengmian. */
function is_ours( int $picture ): bool {
	return 0 === strpos( basename( (string) get_attached_file( $picture ) ), PREFIX );
}

/** Whether a plugin is at work that prints Open Graph tags of its own. */
function has_seo_plugin(): bool {
	foreach ( array( 'WPSEO_VERSION', 'RANK_MATH_VERSION', 'AIOSEO_VERSION', 'SEOPRESS_VERSION', 'THE_SEO_FRAMEWORK_VERSION', 'SLIM_SEO_VER' ) as $name ) {
		if ( defined( $name ) ) {
			return true;
		}
	}
	return (bool) apply_filters( 'jetpack_enable_open_graph', false );
}
